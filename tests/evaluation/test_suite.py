"""The benchmarks: rows as the release and the hub have them, where they are looked for, how they are asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dsm_repro.config.checks.evaluation import ANSWER_MODES, FEW_SHOT_MODES
from dsm_repro.config.compose import compose
from dsm_repro.config.errors import ConfigError, DataError
from dsm_repro.config.evaluation_schema import BenchmarkPlacesConfig
from dsm_repro.config.schema import Config
from dsm_repro.config.validate import faults
from dsm_repro.evaluation import router, stage, suite
from dsm_repro.evaluation.answers import answer_of
from dsm_repro.evaluation.run import TASKS
from dsm_repro.evaluation.taskdata import SUBJECT, Subject, load_dataset
from dsm_repro.evaluation.taskdata import test_problems as problems_of
from dsm_repro.miniature.problems import Problem
from dsm_repro.reasoning import formats

#: task -> (row, question starts with, question ends with, answer, category, level)
ROWS: dict[str, list[tuple[dict[str, Any], str, str, str, str, int]]] = {
    "gsm8k": [
        ({"question": "2 and 2?", "answer": "It is <<2+2=4>>4.\n#### 1,004"}, "2 and 2?", "?", "1004", "all", 0),
        ({"id": "7", "question": "q", "cot": "c", "answer": "4"}, "q", "q", "4", "all", 0),
    ],
    "svamp": [({"id": "svamp_1", "question": "how many ?", "answer": "14.0"}, "how", "?", "14.0", "all", 0)],
    "math": [
        (
            {
                "problem": "Find $x$.", "level": "Level 5", "type": "Algebra",
                "solution": "First $\\boxed{1}$, so $x = \\boxed{\\frac{1}{2}}$.",
            },
            "Find", ".", "\\frac{1}{2}", "Algebra", 5,
        )
    ],
    "math500": [
        (
            {
                "problem": "p", "level": 2, "subject": "Geometry", "solution": "s $\\boxed{3}$", "answer": "3",
                "unique_id": "test/geometry/1.json",
            },
            "p", "p", "3", "Geometry", 2,
        )
    ],
    "ocw": [({"problem": "A star.", "solution": "s", "answer": "3.3e12"}, "A star.", ".", "3.3e12", "all", 0)],
    "sat": [
        (
            {"question": "Which?", "options": "A) 1 B) f(x) C) 3 D) 4", "Answer": "B"},
            "Which?\nWhat of the following is the right choice?", "(A) 1 (B) f(x) (C) 3 (D) 4", "B", "all", 0,
        ),
        ({"Question": "Which?", "Possible Answers": "A) 1 B) 2", "Answer": "A"}, "Which", "(A) 1 (B) 2", "A", "all", 0),
    ],
    "mmlu_stem": [
        ({"question": "q", "options": ["a", 2, "c", "d"], "answer": "C"}, "q\n", "(B) 2, (C) c, (D) d", "C", "all", 0),
        ({"question": "q", "choices": ["a", "b"], "answer": 1, "subject": "law"}, "q", "(B) b", "B", "law", 0),
    ],
    "cmath": [({"question": "还剩多少？", "golden": "1,200", "grade": 3}, "还剩", "？", "1200", "grade 3", 3)],
    "mgsm_zh": [
        ({"messages": [{"role": "user", "content": "问题"}], "answer": "1,0"}, "问题", "问题", "10", "all", 0),
        ({"question": "问题：几个？", "answer": None, "answer_number": 18}, "几个", "？", "18", "all", 0),
    ],
    "gaokao_cloze": [
        ({"question": "求值", "answer": "$1$;$2$"}, "求值", "求值", "$1$, $2$", "all", 0),
        ({"query": "问题：求值\n答案：", "answer": "5"}, "求值", "求值", "5", "all", 0),
    ],
    "gaokao_qa": [
        (
            {"question": "哪个", "options": ["(A)一", "(B)二"], "label": "B"},
            "哪个\n从以下选项中选择:    (A)一", "(B)二", "B", "all", 0,
        ),
        (
            {"query": "问题：哪个 选项：(A)一 (B)二\n答案：", "choices": ["(A)一", "(B)二"], "gold": [1]},
            "哪个\n从", "(B)二", "B", "all", 0,
        ),
    ],
}  # fmt: skip


@pytest.mark.parametrize("task", ROWS)
def test_rows_of_the_release_and_of_the_hub_are_read(task: str) -> None:
    for row, start, end, answer, category, level in ROWS[task]:
        problem = suite.BENCHMARKS[task].read(row)
        assert problem.question.startswith(start) and problem.question.endswith(end), problem.question
        assert (problem.answer, problem.category, problem.level) == (answer, category, level)


@pytest.mark.parametrize(
    ("given", "gold"),
    [
        ("$12,345,678", "$12345678"),
        ("-1,004.5", "-1004.5"),
        ("(3, -1)", "(3, -1)"),
        ("(1,200)", "(1,200)"),
        ("1, 2, 300", "1, 2, 300"),
        ("1,2", "1,2"),
    ],
)
def test_a_gold_loses_the_separators_of_thousands_and_no_other_comma(given: str, gold: str) -> None:
    assert suite.BENCHMARKS["gsm8k"].read({"question": "q", "answer": given}).answer == gold


def test_every_benchmark_has_rows_above_and_a_task_of_lm_eval() -> None:
    assert {b.whole or task for task, b in suite.BENCHMARKS.items()} == set(ROWS)
    named = {}
    for path in TASKS.glob("[!_]*.yaml"):
        text = path.read_text()
        # functions are resolved by lm-eval; none of these files has one
        found = yaml.safe_load(text)
        named[path.stem] = found.get("group") or found["task"]
        assert text.startswith(f"# dsm run evaluation.tasks=[{path.stem}]\n")
    assert named == {task: f"dsm_{task}" for task in suite.TASKS}


def test_a_place_can_be_given_for_every_benchmark() -> None:
    assert set(vars(BenchmarkPlacesConfig())) == {b.whole or task for task, b in suite.BENCHMARKS.items()}


def test_published_sizes_add_up() -> None:
    assert sum(size for _, size in suite.MATH_PARTS.values()) == suite.BENCHMARKS["math"].size == 5000


def written(folder: Path, task: str, rows: list[dict[str, Any]] | None = None) -> Path:
    path = folder / task / "test.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or [row for row, *_ in ROWS[task]]))
    return path


def config(folder: Path, *words: str) -> Any:
    return compose(["scale=smoke", "evaluation.problems=null", f"evaluation.folder={folder}", *words])


def test_a_folder_comes_before_the_hub_and_a_word_before_both(tmp_path: Path) -> None:
    path, other = written(tmp_path, "math"), written(tmp_path / "other", "math")
    assert suite.place_of(config(tmp_path), "math") == path
    assert suite.place_of(config(tmp_path), "math_algebra") == path
    assert suite.place_of(config(tmp_path, f"evaluation.data.math={other}"), "math") == other
    assert suite.place_of(config(tmp_path, f"evaluation.data.math={other.parent}"), "math") == other
    assert suite.place_of(config(tmp_path, "evaluation.data.math=hub"), "math").path == "EleutherAI/hendrycks_math"
    assert suite.place_of(config(tmp_path), "math500").path == "HuggingFaceH4/MATH-500"
    release = tmp_path / "mgsm_zh" / "mgsm_zh.jsonl"
    release.parent.mkdir()
    release.write_text("")
    assert suite.place_of(config(tmp_path), "mgsm_zh") == release


def test_the_identity_tells_the_places_and_the_files_are_inputs(tmp_path: Path) -> None:
    path = written(tmp_path, "math")
    one = config(tmp_path, "evaluation.tasks=[math, math500]")
    assert stage.identity(one)["benchmarks"] == {"math": "file", "math500": "hub: HuggingFaceH4/MATH-500/test"}
    assert stage.inputs(one) == (path,)
    both = config(tmp_path, "evaluation.tasks=[miniature, math_by_category]")
    assert len(stage.identity(both)["benchmarks"]) == 7 and stage.inputs(both) == (path,)


def test_a_test_set_of_the_arms_own_stays_what_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, "gsm8k")
    own = config(
        tmp_path,
        "problems.source=jsonl",
        f"problems.test_path={path}",
        "evaluation.tasks=[miniature]",
        "prompts=release",
    )
    assert "benchmarks" not in stage.identity(own) and stage.inputs(own) == (path,)
    assert [p.answer for p in suite.load(own, "miniature")] == ["#### 1,004".removeprefix("#### "), "4"]


def test_two_tasks_may_not_ask_the_same_questions(tmp_path: Path) -> None:
    for name in ("svamp", "gsm8k"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.jsonl").write_text('{"question": "1+1?", "answer": 2}\n')
    own = ["problems.source=jsonl", f"problems.test_path={tmp_path}/svamp/test.jsonl"]
    for same in (
        ["evaluation.tasks=[svamp,miniature]"],
        ["evaluation.tasks=[svamp,gsm8k]", f"evaluation.data.gsm8k={tmp_path}/svamp/test.jsonl"],
    ):
        for read in (suite.files, suite.identity):
            with pytest.raises(ConfigError, match=r"svamp and (miniature|gsm8k) would both ask"):
                read(config(tmp_path, *own, *same))
    apart = config(tmp_path, *own, "evaluation.tasks=[svamp,gsm8k]")
    assert suite.files(apart) == (tmp_path / "svamp/test.jsonl", tmp_path / "gsm8k/test.jsonl")


def test_the_hub_is_asked_for_each_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    asked = []

    def load_dataset(path: str, name: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((path, name, split))
        if name == "prealgebra":
            raise ConnectionError("no network")
        return [{"problem": f"p {name}", "level": "Level 1", "type": "Algebra", "solution": "$\\boxed{1}$"}]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = suite.load(config(tmp_path, "evaluation.problems=2"), "math")
    assert [p.question for p in found] == ["p algebra", "p counting_and_probability"] and len(asked) == 2
    with pytest.raises(
        DataError, match=r"hendrycks_math \(prealgebra\): cannot be had \(no network\).*evaluation\.data"
    ):
        suite.load(config(tmp_path), "math")


def test_problems_with_one_id_are_told_apart(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "1"}
    written(tmp_path, "svamp", [row, row, {"question": "r", "answer": "1"}])
    ids = [p.id for p in suite.load(config(tmp_path), "svamp")]
    assert len(set(ids)) == 3 and ids[1] == f"{ids[0]}/2"


def test_questions_of_one_id_in_a_test_set_of_the_arms_own_each_have_their_verdict(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": "1", "question": "1+1?", "answer": "2"}, {"id": "1", "question": "2+2?", "answer": "4"},
            {"id": "2", "question": "3+3?", "answer": "6"}]  # fmt: skip
    path = written(tmp_path, "own", rows)
    answering(monkeypatch, lambda question: question != "2+2?")
    settings = config(
        tmp_path, "problems.source=jsonl", f"problems.test_path={path}", "evaluation.tasks=[miniature]",
        "pretrain=none", "sft=none", "rl=none", "prompts=release",
    )  # fmt: skip
    record = evaluated(settings, tmp_path / "out", model_folder)["results"]["cot"]
    samples = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert [(row["id"], row["correct"]) for row in samples] == [("1", True), ("1/2", False), ("2", True)]
    assert record["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("task", "row", "said"),
    [
        ("math", {"problem": "p", "solution": "no box"}, r"line 1: not a row of math \(IndexError"),
        ("sat", {"question": "q", "options": "A) 1", "Answer": "both"}, r"answer 'both' is none of A, B"),
        ("cmath", {"question": "q"}, r"KeyError\('golden'\); it has: question\)\. CMATH: ``question``, ``golden``"),
        ("svamp", {"question": " ", "answer": "1"}, "an empty question or answer"),
        ("svamp", {"question": "q", "answer": None}, r"answer=None: not a text or a number"),
        ("ocw", {"problem": "p", "solution": "s", "answer": None}, r"answer=None: not a text or a number"),
        ("cmath", {"question": "q", "golden": None}, r"golden=None: not a text or a number"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_place(tmp_path: Path, task: str, row: Any, said: str) -> None:
    written(tmp_path, task, [row])
    with pytest.raises(DataError, match=said):
        suite.load(config(tmp_path), task)


def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "gsm8k")
    path.write_bytes(path.read_bytes() + '{"question": "Où ?", "answer": "1"}\n'.encode("latin-1"))
    number = len(ROWS["gsm8k"]) + 1
    with pytest.raises(DataError, match=rf"test\.jsonl, line {number}: not UTF-8 \(byte 0xf9 .*Save the file as UTF-8"):
        suite.load(config(tmp_path), "gsm8k")


def test_unknown_tasks_and_tasks_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.tasks=minif2f: unknown\. Use one or more of miniature, gsm8k"):
        stage.inputs(config(tmp_path, "evaluation.tasks=[minif2f]"))
    with pytest.raises(ConfigError, match=r"svamp: the hub has no data set of it .*evaluation\.data\.svamp=FILE"):
        stage.inputs(config(tmp_path, "evaluation.tasks=[svamp]"))
    with pytest.raises(DataError, match=r"nothere\.jsonl cannot be read"):
        suite.load(config(tmp_path, "evaluation.data.math=nothere.jsonl"), "math")


def test_chinese_questions_get_the_chinese_wording_of_the_release() -> None:
    assert formats.prompt("几个？", "cot", "release", "zh") == (
        "User: 几个？\n请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。\n\nAssistant:"
    )
    assert "请结合自然语言和Python程序语言来解答问题" in formats.prompt("q", "tool", "release", "zh")
    assert formats.prompt("q", "cot", "miniature", "zh") == formats.prompt("q", "cot", "miniature")
    assert formats.template_id("cot", "release", "zh") == "release/cot/1/zh"
    assert formats.template_id("cot", "miniature", "zh") == "miniature/cot/1"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The domain is $\\boxed{[2,5)}$.\nFinal Answer: The final answer is (B). I hope it is correct.", "B"),
        ("so the choice is \\boxed{\\text{(C)}}", "C"),
        ("A triangle has 3 sides. The answer is D", "D"),
        ("答案是 C", "C"),
        ("综上，选 A。", "A"),
        ("(E)", "E"),
        ("A good question about CAB", None),
        ("Answer: C", "C"),
        ("**Answer: C**", "C"),
        ("**Answer**:\n(C)", "C"),
        ("答案：C", "C"),
        ("答案为\n\nC", "C"),
        ("The correct option is C.", "C"),
        ("因此正确选项为C", "C"),
        ("hence C", "C"),
        ("Therefore, option (C) is correct.", "C"),
        ("故选C．", "C"),
        # other options are spoken of, before and after
        ("选项A错误，选项D错误，所以C正确", "C"),
        ("答案是(C)，选项D错误", "C"),
        ("不选A，选C。", "C"),
        ("The answer is not A but C.", "C"),
        ("The answer is C. Let me check that the answer is right. A circle has none.", "C"),
        # a letter that is no answer: of the next sentence, of a formula
        ("The answer is not clear. A triangle has 3 sides.", None),
        ("so A is the midpoint, therefore B = 3", None),
        ("所以A=3，选项D错误", None),
    ],
)
def test_a_choice_is_the_letter_named_last(text: str, answer: str | None) -> None:
    assert answer_of({"choices": True}, text).answer == answer


def test_a_program_that_prints_a_choice_names_its_letter() -> None:
    assert answer_of({"choices": True, "answer": "B"}, "", "x\n(B) 12").answer == "B"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("99-90=9。所以答案是：9。", "9"),
        ("所以答案是：$\\frac{1}{2}$。", "\\frac{1}{2}"),
        ("答案是 3，再看 \\boxed{4}", "4"),
        ("答案：$\\frac{1}{2}$", "\\frac{1}{2}"),
        ("一共 12 个", "12"),
    ],
)
def test_a_chinese_answer_stands_behind_its_words(text: str, answer: str) -> None:
    assert answer_of({"language": "zh", "answer": "1"}, text).answer == answer
    assert answer_of({"language": "en", "answer": "1"}, "So the answer is 5.").answer == "5"


#: what the release's wordings ask for, English and Chinese
ASKS = {
    "cot": ("reason step by step", "通过逐步推理"),
    "pot": ("integrate natural language reasoning with programs", "结合自然语言和Python程序语言"),
    "tool": ("integrate natural language reasoning with programs", "结合自然语言和Python程序语言"),
    "hybrid": ("\nPlease put your final answer within", "\n请把最终答案放置于"),
}


def documents(
    settings: Config, mode: str, problems: dict[str, list[Problem]] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Task -> its documents as lm-eval is given them."""
    token = SUBJECT.set(Subject(settings, problems or problems_of(settings), mode))
    try:
        return {task: list(load_dataset(task)["test"]) for task in suite.tasks_of(settings)}
    finally:
        SUBJECT.reset(token)


@pytest.fixture(scope="module")
def every_task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with rows of every benchmark, and the words that evaluate on all of them."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for task in ROWS:
        written(folder, task)
    parts = [
        {"problem": f"p {part}", "level": "Level 1", "type": part, "solution": "$\\boxed{1}$"}
        for part, _ in suite.MATH_PARTS.values()
    ]
    written(folder, "math", parts)
    return folder, f"evaluation.tasks=[{','.join(suite.TASKS)}]"


def test_every_task_asks_in_every_mode(every_task: tuple[Path, str]) -> None:
    folder, tasks = every_task
    modes = f"evaluation.modes=[{','.join(ANSWER_MODES)}]"
    settings = config(folder, tasks, modes, "prompts=release", "evaluation.problems=9", "sft=hybrid")
    assert faults(settings) == [] and stage.identity(settings)["modes"] == list(ANSWER_MODES)
    problems = problems_of(settings)
    for mode in ANSWER_MODES:
        for task, asked in documents(settings, mode, problems).items():
            chinese = suite.language_of(settings, task) == "zh"
            assert asked, task
            for document in asked:
                how = router.route(document["question"])[0] if mode == "router" else mode
                assert document["prompt"].startswith(f"User: {document['question']}\n"), (task, mode)
                assert ASKS[how][chinese] in document["prompt"] and document["mode"] == mode, (task, mode)
                assert document["answer"]


@pytest.mark.parametrize("mode", FEW_SHOT_MODES)
def test_every_task_shows_exemplars_of_a_file_and_those_of_lm_eval_where_it_has_them(
    every_task: tuple[Path, str], tmp_path: Path, mode: str
) -> None:
    folder, tasks = every_task
    path = tmp_path / "shots.jsonl"
    path.write_text(json.dumps({"question": "1+1?", "cot": "It is 2.", "program": "print(1+1)"}) + "\n")
    words = (f"evaluation.modes=[{mode}]", "evaluation.shots=8", "prompts=release", "evaluation.problems=9")
    for task, asked in documents(config(folder, tasks, *words, f"evaluation.exemplars={path}"), mode).items():
        for document in asked:
            shown, own = document["prompt"].split("1+1?", 1)[1], document["question"]
            assert own in shown and ("print(1+1)" in shown) == (mode == "pot"), (task, document["prompt"])
    shipped = {task for task in suite.BENCHMARKS if task in ("gsm8k", "svamp") or task.startswith("math")}
    settings = config(folder, *words, "evaluation.exemplars=lm_eval")
    settings.evaluation.tasks = sorted(shipped)
    stage.inputs(settings)
    programs = {task: found[0]["prompt"].count("```python") for task, found in documents(settings, mode).items()}
    assert programs == {task: (mode == "pot") * (4 if task.startswith("math") else 8) for task in shipped}
    for task in (*suite.BENCHMARKS, "miniature"):
        if task not in shipped:
            settings.evaluation.tasks = [task]
            with pytest.raises(ConfigError, match=rf"ships no exemplars for {task}.*evaluation\.exemplars=FILE"):
                stage.inputs(settings)


@pytest.mark.parametrize("mode", [mode for mode in ANSWER_MODES if mode not in FEW_SHOT_MODES])
def test_modes_that_the_release_has_no_few_shot_protocol_for_are_refused(mode: str) -> None:
    (said,) = faults(compose([f"evaluation.modes=[{mode}]", "evaluation.shots=4", "sft=hybrid"]))
    assert said.startswith("evaluation.shots=4: exemplars are made for cot and pot alone, as in the release.")
    assert said.endswith(f"leave {mode} out of evaluation.modes.")


def answering(monkeypatch: pytest.MonkeyPatch, right: Any) -> list[str]:
    """A model that gives the right answer where ``right(problem's question)``; the prompts it was given."""
    from dsm_repro.evaluation.answering import Generation
    from dsm_repro.evaluation.model import TransformersLM

    asked: list[str] = []

    def answer(self: TransformersLM, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        texts = []
        for request in requests:
            asked.append(request.args[0])
            text = f" \\boxed{{{request.doc['answer'] if right(request.doc['question']) else 'nothing'}}}"
            self.generations[(request.task_name, request.doc_id, 0)] = Generation(text, 3, False)
            texts.append(text)
        return texts

    monkeypatch.setattr(TransformersLM, "generate_until", answer)
    return asked


def evaluated(settings: Any, out: Path, folder: Path) -> dict[str, Any]:
    from dsm_repro.pipeline.stage import StageContext

    out.mkdir()
    stage.run(StageContext(settings, out, out, {"base": folder.parent}))
    return json.loads((out / "record.json").read_text())


def test_several_benchmarks_in_one_evaluation_each_have_their_figures(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = ("math", "math500", "sat", "cmath")
    for task in tasks:
        written(tmp_path, task)
    asked = answering(monkeypatch, lambda question: "Find" not in question)
    words = ("pretrain=none", "sft=none", "rl=none", "prompts=release")
    settings = config(tmp_path, *words, f"evaluation.tasks=[{','.join(tasks)}]")
    record = evaluated(settings, tmp_path / "out", model_folder)["results"]["cot"]
    assert record["n"] == sum(len(ROWS[task]) for task in tasks)
    assert {task: found["accuracy"] for task, found in record["by_task"].items() if found["accuracy"] < 1} == {
        "math": 0.0
    }
    assert record["by_category"]["Geometry"] == {"n": 1, "accuracy": 1.0}
    assert record["by_level"]["5"] == {"n": 1, "accuracy": 0.0}
    chinese = [prompt for prompt in asked if "请通过逐步推理" in prompt]
    assert len(chinese) == len(ROWS["cmath"])


def test_the_group_of_lm_eval_has_the_accuracy_of_all_of_math(model_folder: Path, tmp_path: Path) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    from dsm_repro.config.evaluation_schema import GraderConfig
    from dsm_repro.evaluation.scoring import SCORER, Scorer
    from dsm_repro.evaluation.taskdata import SUBJECT, Subject, test_problems
    from dsm_repro.reasoning.grading import Grader

    rows = [
        {"problem": f"{part} {i}", "level": "Level 1", "type": part, "solution": f"$\\boxed{{{i}}}$"}
        for count, (part, _) in enumerate(suite.MATH_PARTS.values(), 1)
        for i in range(count)
    ]
    written(tmp_path, "math", rows)

    class AlwaysZero(LM):
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return ["\\boxed{0}"] * len(requests)

        loglikelihood = loglikelihood_rolling = None

    settings = config(tmp_path, "evaluation.tasks=[math_by_category]", "prompts=release")
    problems: dict[str, list[Problem]] = test_problems(settings)
    assert [len(found) for found in problems.values()] == [1, 2, 3, 4, 5, 6, 7]
    with Grader(GraderConfig()) as grader:
        tokens = SUBJECT.set(Subject(settings, problems, "cot")), SCORER.set(Scorer(grader, None, "release"))
        found = simple_evaluate(
            model=AlwaysZero(),
            tasks=["dsm_math_by_category"],
            task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
            bootstrap_iters=0,
        )
        SUBJECT.reset(tokens[0])
        SCORER.reset(tokens[1])
    assert found["groups"]["dsm_math_by_category"]["accuracy,none"] == pytest.approx(7 / 28)
    assert found["results"]["dsm_math_geometry"]["accuracy,none"] == pytest.approx(1 / 3)
