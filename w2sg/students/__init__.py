"""Students whose backbone is trained: LoRA and full fine-tuning of a revision on a supervisor's labels.

Imports heads, activations, measures, study and runtime. Writes no table itself.
"""
