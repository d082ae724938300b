// The answers that the page carries: filter the questions, pick one, see every arm's answer side by side.
// Texts were written by models: they enter the page as text (textContent), never as markup.
"use strict";
(() => {
  const root = document.querySelector("[data-explorer]");
  if (!root) return;
  const { voices, questions } = JSON.parse(document.getElementById("answers").textContent);
  const part = (name) => root.querySelector(`[data-${name}]`);
  const [form, list, detail, counted, armsBox] = ["filters", "list", "detail", "count", "arms"].map(part);
  const MOST_ARMS = 6; // shown at first, where there are more
  const STATUS = {
    correct: ["✓", "correct", "good"],
    incorrect: ["✗", "incorrect", "bad"],
    no_answer: ["∅", "no answer", "muted"],
    ungradable: ["?", "ungradable", "warn"],
  };

  const severalModes = new Set(voices.map((voice) => voice.mode)).size > 1;
  const names = voices.map((voice) => (severalModes ? `${voice.arm}, ${voice.mode}` : voice.arm));
  const statusOf = (answer) => STATUS[answer.status] || ["·", answer.status, "muted"];
  const haystacks = questions.map((question) =>
    [question.question, question.gold, question.id, ...question.answers.map((a) => (a ? a.completion || "" : ""))]
      .join("\n")
      .toLowerCase(),
  );
  let shownArms = new Set(voices.keys());
  let found = [];
  let at = -1;

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== null)); // strings become text nodes
    return made;
  }

  const pill = (answer) => {
    const [icon, word, tone] = statusOf(answer);
    return element("span", { class: `pill t-${tone}` }, element("span", { "aria-hidden": "true" }, icon), ` ${word}`);
  };

  // ------------------------------------------------------------------ filters

  function fill(select, values) {
    for (const [value, label] of values) select.append(element("option", { value }, label));
  }

  function matches(question, i) {
    const { text, category, status, right, wrong } = form.elements;
    const answers = question.answers;
    if (category.value && question.category !== category.value) return false;
    if (text.value && !haystacks[i].includes(text.value.trim().toLowerCase())) return false;
    if (right.value && !isRight(answers[right.value])) return false;
    if (wrong.value && (!answers[wrong.value] || isRight(answers[wrong.value]))) return false;
    const wanted = status.value;
    if (wanted === "split") return new Set(answers.filter(Boolean).map(isRight)).size > 1;
    if (wanted === "truncated") return answers.some((answer) => answer && answer.truncated);
    return !wanted || answers.some((answer) => answer && answer.status === wanted);
  }

  const isRight = (answer) => Boolean(answer) && answer.status === "correct";

  function refilter() {
    const before = found[at];
    found = [...questions.keys()].filter((i) => matches(questions[i], i));
    for (const name of ["right", "wrong"]) {
      const value = form.elements[name].value;
      if (value !== "") shownArms.add(Number(value));
    }
    syncArms();
    list.replaceChildren(...found.map(option));
    const marked = [...shownArms].sort((a, b) => a - b).map((voice) => names[voice]);
    counted.textContent = `${found.length} of ${questions.length} questions; marks: ${marked.join(" · ")}`;
    select(Math.max(0, found.indexOf(before)), false);
  }

  // ------------------------------------------------------------------ the list

  function option(i, position) {
    const question = questions[i];
    const marks = question.answers.map((answer, voice) => {
      if (!answer || !shownArms.has(voice)) return null;
      const [icon, word, tone] = statusOf(answer);
      return element("span", { class: `mark t-${tone}`, title: `${names[voice]}: ${word}` }, icon);
    });
    const line = question.question.replace(/\s+/g, " ").slice(0, 140);
    const made = element("li", { role: "option", id: `question-${i}`, "aria-selected": "false" });
    made.append(
      element("span", { class: "marks", "aria-hidden": "true" }, ...marks),
      element("span", { class: "asked" }, line),
      element("span", { class: "small" }, question.category),
    );
    made.addEventListener("click", () => select(position, false));
    return made;
  }

  function select(position, scroll = true) {
    for (const old of list.querySelectorAll('[aria-selected="true"]')) old.setAttribute("aria-selected", "false");
    at = found.length ? Math.min(Math.max(0, position), found.length - 1) : -1;
    if (at < 0) {
      list.removeAttribute("aria-activedescendant");
      detail.replaceChildren(element("p", { class: "note" }, "No question fits these filters."));
      return;
    }
    const chosen = list.children[at];
    chosen.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", chosen.id);
    if (scroll) {
      // inside the list only: the page stays where it is
      const [top, bottom] = [chosen.offsetTop, chosen.offsetTop + chosen.offsetHeight];
      if (top < list.scrollTop) list.scrollTop = top;
      else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
    }
    show(questions[found[at]]);
  }

  // ------------------------------------------------------------------ one question

  function show(question) {
    const facts = [question.category, question.level && `level ${question.level}`, question.id].filter(Boolean);
    const answers = question.answers.map((answer, voice) => (shownArms.has(voice) ? article(answer, voice) : null));
    detail.replaceChildren(
      element("p", { class: "small" }, facts.join(" · ")),
      element("h3", {}, question.question),
      element("p", { class: "gold" }, "Right answer: ", element("b", { class: "mono" }, question.gold)),
      element("div", { class: "answers" }, ...answers),
    );
  }

  function article(answer, voice) {
    const head = element("header", {}, element("h4", {}, names[voice]));
    const made = element("article", { "aria-label": names[voice] }, head);
    if (!answer) {
      made.append(element("p", { class: "note" }, "not asked"));
      return made;
    }
    head.append(pill(answer));
    if (answer.truncated) head.append(element("span", { class: "pill t-warn" }, "cut off"));
    const { seed, replicates } = voices[voice];
    const often = replicates > 1 ? `right in ${answer.right} of ${replicates} seeds; shown: seed ${seed}` : "one checkpoint";
    made.append(element("p", { class: "small" }, often));
    const extracted = element("p", { class: "answer" }, "Answer: ");
    extracted.append(answer.extracted ? element("b", { class: "mono" }, answer.extracted) : "none found");
    if (answer.reason) extracted.append(element("span", { class: "small" }, ` (grader: ${answer.reason})`));
    made.append(extracted, verbatim("Completion", answer.completion || "(empty)", names[voice]));
    if (answer.program) made.append(verbatim("Program", answer.program, names[voice]));
    if (answer.output) made.append(verbatim("Output", answer.output, names[voice]));
    return made;
  }

  function verbatim(label, text, name) {
    const pre = element("pre", { tabindex: "0", role: "region", "aria-label": `${label}, ${name}` }, text.trim());
    return element("div", { class: `verbatim ${label.toLowerCase()}` }, element("h5", {}, label), pre);
  }

  // ------------------------------------------------------------------ which arms

  function syncArms() {
    for (const box of armsBox.querySelectorAll("input")) box.checked = shownArms.has(Number(box.value));
    armsBox.querySelector("summary").textContent = `Arms shown: ${shownArms.size} of ${voices.length}`;
  }

  function offerArms() {
    if (voices.length > MOST_ARMS) shownArms = new Set([...voices.keys()].slice(0, MOST_ARMS));
    armsBox.hidden = voices.length <= MOST_ARMS;
    const boxes = element("div", { class: "boxes" });
    names.forEach((name, i) => {
      boxes.append(element("label", {}, element("input", { type: "checkbox", value: i }), ` ${name}`));
    });
    armsBox.append(boxes);
    armsBox.addEventListener("change", (event) => {
      const voice = Number(event.target.value);
      if (event.target.checked) shownArms.add(voice);
      else shownArms.delete(voice);
      refilter();
    });
  }

  // ------------------------------------------------------------------ start

  const byName = names.map((name, i) => [String(i), name]);
  fill(form.elements.right, byName);
  fill(form.elements.wrong, byName);
  fill(form.elements.category, [...new Set(questions.map((q) => q.category))].sort().map((name) => [name, name]));
  offerArms();

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", refilter);
  form.addEventListener("reset", () => setTimeout(refilter)); // after the fields were cleared
  for (const [name, by] of [["previous", -1], ["next", 1]]) part(name).addEventListener("click", () => select(at + by));
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
    const inList = event.target === list;
    const steps = { j: 1, k: -1, ...(inList && { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }) };
    if (event.key in steps) select(at + steps[event.key]);
    else if (inList && event.key === "Home") select(0);
    else if (inList && event.key === "End") select(found.length - 1);
    else return;
    event.preventDefault();
  });

  root.hidden = false;
  document.querySelector("[data-fallback]").hidden = true;
  refilter();
})();
