"use strict";
const views = [];
const rowsOf = (name) => JSON.parse(document.getElementById("rows-" + name).textContent);
function save(href, name) {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  link.click();
}
function saveText(text, name) {
  const href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  save(href, name);
  setTimeout(() => URL.revokeObjectURL(href), 1000);
}
const ink = "currentColor", text = {labelColor: ink, titleColor: ink, labelFont: "system-ui, sans-serif", titleFont: "system-ui, sans-serif", titleFontWeight: 500};
const config = {
  background: null, view: {stroke: null}, axis: {...text, gridColor: ink, gridOpacity: 0.12, domainColor: ink, domainOpacity: 0.6, tickColor: ink, tickOpacity: 0.6},
  legend: text, title: {color: ink}, autosize: {type: "fit-x", contains: "padding"},
};
for (const place of document.querySelectorAll(".plot")) {
  const spec = JSON.parse(document.getElementById("spec-" + place.id).textContent);
  const {csv, types} = rowsOf(place.dataset.rows);
  spec.data = {values: csv, format: {type: "csv", parse: types}};
  vegaEmbed(place, spec, {renderer: "svg", actions: false, config})
    .then(({view}) => views.push({view, id: place.id, group: place.dataset.group}))
    .catch((error) => { place.textContent = "This chart could not be drawn: " + error; console.error(error); });
}
document.addEventListener("change", ({target}) => {
  const menu = target.closest("select[data-signal]");
  if (menu) for (const {view, group} of views) if (group === menu.dataset.group) view.signal(menu.dataset.signal, menu.value).runAsync();
});
document.addEventListener("click", async ({target}) => {
  const button = target.closest("button[data-save]");
  if (!button) return;
  const {save: kind, plot, name} = button.dataset;
  if (kind === "table") {
    const cells = (row) => [...row.cells].map((cell) => '"' + cell.innerText.replace(/[\u2007\u2008]/g, "").replace(/\u00a0/g, " ").trim().replace(/"/g, '""').replace(/\n/g, " ") + '"');
    saveText([...button.closest(".table").querySelectorAll("tr")].map((row) => cells(row).join(",")).join("\n") + "\n", name + ".csv");
  } else if (kind === "csv") {
    saveText(rowsOf(document.getElementById(plot).dataset.rows).csv, name + ".csv");
  } else {
    const {view} = views.find(({id}) => id === plot);
    save(await view.toImageURL(kind, kind === "png" ? 2 : 1), name + "." + kind);
  }
});
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.long)").forEach((part) => { part.open = true; }));
