"""What a network is for, by its outputs: each has a kind of answers, of labels, and of figures that tell how good."""

from cnn2rtl.tasks.choice import KINDS, Choice, Judgement, Wanted, check_tasks, choose, choose_for

__all__ = ["KINDS", "Choice", "Judgement", "Wanted", "check_tasks", "choose", "choose_for"]
