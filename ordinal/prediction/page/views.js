// What is shown of predictions. Everything is inserted as text, never as HTML.

import { predictionsCsv } from "./csv.js";

const MOST_ROWS = 500; // of a table; the file has all
const MOST_WORDS = 10; // in the table of effects
const FAINTEST = 0.05; // share of the largest effect; words below have no colour

const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat("en", { signDisplay: "always", minimumFractionDigits: 2, maximumFractionDigits: 2 });

// The prediction of a text: its label, and a chart of the distribution with the interval.
export function prediction(one, { labels, coverage }) {
  const within = labels.slice(labels.indexOf(one.low), labels.indexOf(one.high) + 1);
  // Not in the order of the object's keys, because numeric keys come first there.
  const rows = labels.map((name) => {
    const share = one.probabilities[name];
    const bar = element("span", { className: "bar", ariaHidden: "true" });
    bar.style.setProperty("--part", share);
    const ends = [within.includes(name) && "inside", name === one.low && "low", name === one.high && "high"];
    return element(
      "tr",
      { className: name === one.label ? "predicted" : "" },
      element("th", { scope: "row" }, name),
      element("td", { className: "bars" }, bar),
      element("td", { className: "number" }, percent.format(share)),
      element("td", { className: ends.filter(Boolean).join(" ") }, hidden(within.includes(name) ? "yes" : "no")),
    );
  });
  const headings = ["Label", "Bar", "Probability", "In the interval"].map(hidden);
  return [
    element("h2", {}, ...heading(one.label, labels)),
    element("p", {}, `Interval: ${interval(one)}, correct ${frequency(coverage)}`),
    element(
      "table",
      { className: "chart" },
      element("caption", {}, "Probability of each label. The bracket is the interval."),
      element("thead", {}, element("tr", {}, ...headings.map(columnHeading))),
      element("tbody", {}, ...rows),
    ),
  ];
}

// The effects of the words: a sentence, the text in colour, and a table.
export function explanation({ text, expected, baseline, words, labels }) {
  const shown = words.filter(({ word }) => word.trim());
  const largest = Math.max(...shown.map(({ effect }) => Math.abs(effect))) || 1;
  const top = shown.toSorted((a, b) => Math.abs(b.effect) - Math.abs(a.effect)).slice(0, MOST_WORDS);
  const place = (number) => (labels[number - 1] === `${number}` ? number : `${number} (${labels[number - 1]})`);
  const rows = top.map(({ word, effect }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", dir: "auto" }, word),
      element("td", { className: "number" }, signed.format(effect).replace("-", "−")),
    ),
  );
  return [
    element("h3", {}, "Effects of the words"),
    element(
      "p",
      {},
      `The words move the expected label from ${baseline.toFixed(2)} to ${expected.toFixed(2)}, `,
      `on the scale from ${place(1)} to ${place(labels.length)}. `,
      mark("Underlined words", 1),
      " move it up, ",
      mark("dotted words", -1),
      " down.",
    ),
    element("blockquote", { dir: "auto" }, ...colouredWords(text, shown, largest)),
    element(
      "table",
      { className: "words" },
      element("caption", {}, "Largest effects, in labels"),
      element("thead", {}, element("tr", {}, columnHeading("Word"), columnHeading("Effect"))),
      element("tbody", {}, ...rows),
    ),
  ];
}

function colouredWords(text, words, largest) {
  const characters = [...text]; // places count code points, not UTF-16 units
  const piece = (start, end) => characters.slice(start, end).join("");
  const pieces = [];
  let last = 0;
  for (const { start, end, effect } of words) {
    const strength = effect / largest;
    const word = piece(Math.max(start, last), end);
    pieces.push(piece(last, start), Math.abs(strength) < FAINTEST ? word : mark(word, strength));
    last = Math.max(last, end);
  }
  return [...pieces, piece(last)];
}

function mark(word, strength) {
  const marked = element("mark", { className: strength > 0 ? "up" : "down" }, word);
  marked.style.setProperty("--part", Math.abs(strength));
  return marked;
}

// The predictions of lines: a link that saves all of them as CSV, and a table of the first ones.
export function lineTable(rows, { labels }) {
  const file = new Blob([predictionsCsv(rows, labels)], { type: "text/csv" });
  const save = element("a", { href: URL.createObjectURL(file), download: "predictions.csv" }, "Download CSV");
  const more = rows.length > MOST_ROWS ? `, the first ${MOST_ROWS} of ${rows.length}` : "";
  const body = rows.slice(0, MOST_ROWS).map((one) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, String(one.row)),
      element("td", { className: "text", dir: "auto" }, one.text),
      element("td", {}, one.label),
      element("td", {}, interval(one)),
      element("td", { className: "number" }, percent.format(one.probabilities[one.label])),
    ),
  );
  return [
    element("p", {}, save),
    element(
      "table",
      { className: "lines" },
      element("caption", {}, `Predictions by line${more}`),
      element(
        "thead",
        {},
        element("tr", {}, ...["Line", "Text", "Label", "Interval", "Proba\u00adbility"].map(columnHeading)),
      ),
      element("tbody", {}, ...body),
    ),
  ];
}

export function interval({ low, high }) {
  return low === high ? low : `${low} to ${high}`;
}

export function predictedLabel(label, labels) {
  return isStars(labels) ? `${label} of 5 stars` : label;
}

function heading(label, labels) {
  const name = predictedLabel(label, labels);
  if (!isStars(labels)) return [name];
  const stars = "★".repeat(label) + "☆".repeat(5 - label);
  return [element("span", { ariaHidden: "true" }, stars), ` ${name}`];
}

function isStars(labels) {
  return labels.join() === "1,2,3,4,5";
}

function frequency(coverage) {
  const total = [10, 100, 1000].find((n) => Math.abs(coverage * n - Math.round(coverage * n)) < 1e-9);
  return total ? `${Math.round(coverage * total)} times in ${total}` : `${100 * coverage} % of the time`;
}

function columnHeading(name) {
  return element("th", { scope: "col" }, name);
}

// Text for screen readers only.
function hidden(text) {
  return element("span", { className: "hidden" }, text);
}

function element(name, properties, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}
