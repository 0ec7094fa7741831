"""Memory is planned before weights are read, and an error names what would fit."""

from __future__ import annotations

import pytest
from transformers import GPTNeoXConfig

from w2sg.students import memory
from w2sg.study.sections import Students

CONFIG = GPTNeoXConfig(
    hidden_size=64, num_hidden_layers=8, num_attention_heads=2, intermediate_size=256, vocab_size=100
)
PARAMETERS = 2 * 100 * 64 + 8 * (12 * 64**2 + 13 * 64) + 2 * 64
LENGTHS = [1] * 50 + [2] * 32
ROWS = 64


def test_bytes_by_hand():
    plain = memory.needed_bytes(CONFIG, "full", rows=ROWS, size=4, settings=Students(), device="cuda")
    assert plain == 16 * PARAMETERS + 8 * ROWS * 64 * 17 * 4
    beside = memory.needed_bytes(CONFIG, "full", rows=ROWS, size=4, settings=Students(), device="cpu")
    assert beside - plain == 4 * PARAMETERS  # the copy from which each training begins
    factored = memory.needed_bytes(
        CONFIG, "full", rows=ROWS, size=4, settings=Students(optimizer="adafactor"), device="cuda"
    )
    assert plain - factored == 8 * PARAMETERS
    few = memory.needed_bytes(CONFIG, "lora", rows=ROWS, size=2, settings=Students(checkpointing=True), device="cuda")
    assert few == 2 * PARAMETERS + ROWS * 64 * 2 * (17 + 8)


def test_what_would_fit_is_named(monkeypatch):
    lora = memory.needed_bytes(CONFIG, "lora", rows=ROWS, size=4, settings=Students(checkpointing=True), device="cuda")
    full = memory.needed_bytes(CONFIG, "full", rows=ROWS, size=4, settings=Students(checkpointing=True), device="cpu")
    given = {"swept": "float32", "device": "cpu", "settings": Students()}
    monkeypatch.setattr(memory, "memory_of", lambda device: (full + 1, 1e12))
    with pytest.raises(MemoryError, match=r"kind full takes about .* would fit: students.checkpointing: true"):
        memory.check_memory(CONFIG, "full", LENGTHS, **given)
    monkeypatch.setattr(memory, "memory_of", lambda device: (lora + 1, 1e12))
    with pytest.raises(MemoryError, match=r"would fit: kind lora with checkpointing"):
        memory.check_memory(CONFIG, "full", LENGTHS, **given)
    monkeypatch.setattr(memory, "memory_of", lambda device: (1.0, 1e12))
    with pytest.raises(MemoryError, match="take a smaller model"):
        memory.check_memory(CONFIG, "lora", LENGTHS, **given)
    half = memory.needed_bytes(CONFIG, "lora", rows=ROWS, size=2, settings=Students(checkpointing=True), device="cuda")
    monkeypatch.setattr(memory, "memory_of", lambda device: (half + 1, 1e12))
    with pytest.raises(MemoryError, match=r"would fit: kind lora with checkpointing"):
        memory.check_memory(CONFIG, "full", LENGTHS, **given | {"swept": "bfloat16"})
    monkeypatch.setattr(memory, "memory_of", lambda device: (1e12, 1.0))
    memory.check_memory(CONFIG, "full", LENGTHS, **given)
    with pytest.raises(MemoryError, match=r"which has 0\.0 GB; nothing of it would fit"):
        memory.check_memory(CONFIG, "full", LENGTHS, **given, empty=True)
