"""The simulated sweep: the fetching rules of the real workflow, with jobs that sleep. Run by benchmarks/disk.py."""

from w2sg.revisions import scratch
from w2sg.runtime import driver
from w2sg.study.families import most_downloads

SPLIT = config["mode"] == "split"
LIMIT = config["snapshots"]
JOB = (
    f"cd {config['root']} && exec {config['python']} -m benchmarks.disk_job {{step}} --number {{wildcards.number}}"
    f" --scratch {config['here']}/scratch --snapshots {LIMIT} --download {config['download']}"
    f" --compute {config['compute']} --jitter {config['jitter']} --faults '{config['faults']}'"
    f" --output {config['here']}/{{output}} --log {config['here']}/{{log}}"
)


onstart:
    scratch.tidy(Path("scratch"), Path("tickets"))
    if SPLIT:
        driver.announce_run(Path("scratch"))


rule all:
    input:
        expand("heads/{number}.txt", number=range(config["revisions"])),


if SPLIT:

    rule fetch:
        output:
            temp("tickets/{number}.txt"),
        log:
            "logs/fetch/{number}.log",
        threads: 0
        resources:
            downloads=10000 // most_downloads(LIMIT),
        shell:
            JOB.replace("{step}", "fetch")

    rule extract:
        input:
            "tickets/{number}.txt",
        output:
            "features/{number}.txt",
        log:
            "logs/extract/{number}.log",
        priority: 30
        shell:
            JOB.replace("{step}", "extract") + f" --ticket {config['here']}/{{input}}"

else:

    rule extract:
        output:
            "features/{number}.txt",
        log:
            "logs/extract/{number}.log",
        resources:
            snapshots=10000 // LIMIT,
        shell:
            JOB.replace("{step}", "fused")


rule heads:
    input:
        "features/{number}.txt",
    output:
        "heads/{number}.txt",
    priority: 10
    shell:
        "touch {output}"
