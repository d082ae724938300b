"""The order of the rules, and each rule's edges."""

from __future__ import annotations

import time

import pytest

from dsm_repro.reasoning.extraction import MAX_COMPLETION_CHARS, Extracted, boxed, extract, last_boxes


@pytest.mark.parametrize(
    ("completion", "answer", "how"),
    [
        (r"So \boxed{3}. The final answer is $4$. I hope it is correct.", "4", "final"),
        (r"first \boxed{1} then \boxed{\frac{1}{2}} 7", r"\frac{1}{2}", "boxed"),
        (r"\boxed{\boxed{5}}", "5", "boxed"),
        (r"\boxed{a} and \boxed{b", "a", "boxed"),
        (r"\boxed 7$", "7", "boxed"),
        (r"\fbox{9}", "9", "boxed"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}", "boxed"),
        (r"} stray { \boxed{8}", "8", "boxed"),
        (r"\boxed{} so 12", "12", "number"),
        ("The answer is 3.5. Done, 99 times.", "3.5", "phrase"),
        ("the answer is: $x+1$, as shown", "x+1", "phrase"),
        ("The answer is 1. No: the answer is 2.", "2", "phrase"),
        ("```python\nprint(6)\n```\n```output\n5\n6\n```\nwell", "6", "output"),
        ("it costs 1,234.50 dollars", "1,234.50", "number"),
        ("The answer is 72 clips.", "72", "phrase"),
        ("The answer is **72** clips.", "72", "phrase"),
        ("The answer is $18 per day.", "18", "phrase"),
        ("The answer is 72, as required.", "72", "phrase"),
        ("The answer is 72 (clips).", "72", "phrase"),
        ("The answer is 72 clips in all.", "72", "phrase"),
        ("The answer is 3 1/2 cups.", "3 1/2", "phrase"),
        ("The answer is 20% of the total.", "20%", "phrase"),
        ("The answer is 10 a.m. Then it rains.", "10 a.m.", "phrase"),
        ("The answer is 10:30 p.m.", "10:30 p.m.", "phrase"),
        ("The answer is 5 dollars for both.", "5 dollars", "phrase"),
        ("the answer is:\n\\[\nx = \\frac{1}{2}\n\\]", r"x = \frac{1}{2}", "phrase"),
        ("the answer is\n\n$$5.5$$", "5.5", "phrase"),
        ("the answer is:\n$7$", "7", "phrase"),
        ("the answer is $5$ or $6$.", "5 or 6", "phrase"),
        ("5-3", "3", "number"),
        ("it is -3", "-3", "number"),
        ("3/4 of it", "3/4", "number"),
        ("I do not know.", None, "none"),
        ("", None, "none"),
        ("The answer is", None, "none"),
    ],
)
def test_extract(completion: str, answer: str | None, how: str) -> None:
    assert extract(completion) == Extracted(answer, how)


@pytest.mark.parametrize(
    "clause",
    [
        *(
            "5 or more",
            "5, not six",
            "5 to six",
            "5 dozen eggs",
            "5 pairs",
            "5 million dollars",
            "5 minutes",
            "5 per cent",
        ),
        *("5 x", "5 ab", "5 theta", "5 pi", "5, a", "5, pi", "1, 2", "5 dollars and fifty cents", "60 miles per hour"),
        *("12 square tiles", "5 but 6", "5 negative numbers", "5 = 6", "5 apples + 6", "not 5 apples", "5 per cent"),
    ],
)
def test_words_that_may_change_the_number_stay_with_it(clause: str) -> None:
    assert extract(f"The answer is {clause}.") == Extracted(clause, "phrase")


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("6\n7\n", "7"),
        ("The answer is 4\n", "4"),
        ("x = 3\n", "x = 3"),
        (r"\boxed{2}", "2"),
        ("72 clips", "72"),
        ("Total: 72\n", "72"),
        ("The total is 72.", "72"),
        ("There are 72 clips", "72"),
        ("Total: $72.00", "$72.00"),
        ("5 cents", "5 cents"),
        ("[1, 2]", "[1, 2]"),
        ("{x: 5}", "{x: 5}"),
        ("It is not 5", "It is not 5"),
        ("Less than: 5", "Less than: 5"),
    ],
)
def test_a_program_is_judged_by_its_output(output: str, answer: str) -> None:
    assert extract("print('the answer is 1')  # \\boxed{9}", output) == Extracted(answer, "output")


def test_a_program_that_printed_nothing_has_no_answer() -> None:
    assert extract("print_nothing = 12", "") == Extracted(None, "none")


@pytest.mark.parametrize(
    "hostile",
    [
        r"\boxed{" * 100_000,
        r"\boxed{" * 30_000 + "1" + "}" * 30_000,
        "{" * 10**6,
        "the answer is " * 70_000,
        "final answer is $" * 60_000,
        "9" * 10**6,
        "1,234" * 200_000,
        "```output" * 100_000,
        "```python\n" * 100_000,
        "\\" * 10**6,
        "-" * 10**6,
        r"\boxed " * 100_000,
        "the answer is " + "1." * 100_000,
        "the answer is " + "a.m." * 50_000,
        "the answer is $$" + "$ " * 100_000,
        "the answer is" + "\n" * 200_000,
    ],
)
def test_time_is_linear_in_the_length(hostile: str) -> None:
    started = time.perf_counter()
    extract(hostile)
    extract("", hostile)
    assert time.perf_counter() - started < 2.0


def test_only_the_end_of_a_long_completion_counts() -> None:
    assert extract("5 " + "x" * MAX_COMPLETION_CHARS) == Extracted(None, "none")
    assert extract("x" * 10**6 + r"\boxed{5}") == Extracted("5", "boxed")


def test_boxes_come_in_the_order_in_which_they_open() -> None:
    assert boxed(r"\boxed{1} \boxed{\text{a}} \boxed{}") == ["1", r"\text{a}"]


def test_the_last_boxes_count_each_content_once() -> None:
    text = r"\boxed{7}, so \boxed{1} and \boxed{2}. That is, \boxed{1} and \boxed{2}"
    assert last_boxes(text, 2) == ["1", "2"] and last_boxes(text, 9) == ["7", "1", "2"]
    assert last_boxes(r"\boxed{1}" + "x" * MAX_COMPLETION_CHARS + r"\boxed{2}", 2) == ["2"]


def test_every_box_is_found() -> None:
    assert boxed(r"\boxed{1}, \fbox{2}, \boxed 3, \boxed{\frac{1}{2}}, \boxed{4") == ["1", "2", "3", r"\frac{1}{2}"]
