"""The workflow by its short name; the file itself is where deployment tools look for it."""


include: "workflow/Snakefile"


workflow.default_target = "all"  # an included file sets none
