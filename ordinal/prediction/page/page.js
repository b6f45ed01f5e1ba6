// The form: predict its text, predict each of its lines, or explain it.

import { post } from "./requests.js";
import { explanation, interval, lineTable, predictedLabel, prediction } from "./views.js";

const form = document.querySelector("form");
const fields = [...form.querySelectorAll("textarea")];
const mostTexts = Number(form.dataset.mostTexts);
const mostCharacters = Number(form.dataset.mostCharacters);
const status = document.querySelector("#status");
const problem = document.querySelector("#problem");
const result = document.querySelector("#result");
const progress = document.querySelector("#progress");
const actions = { predict: predictText, lines: predictLines, explain: explainText };
let stopped = false;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (result.ariaBusy === "true") return;
  result.ariaBusy = "true";
  problem.textContent = "";
  try {
    await actions[event.submitter?.value ?? "predict"]();
  } catch (error) {
    status.textContent = "";
    problem.textContent = error.message;
  } finally {
    result.ariaBusy = "false";
    progress.hidden = true;
  }
});

for (const button of document.querySelectorAll("#examples button")) {
  button.addEventListener("click", () => {
    fields.forEach((field) => (field.value = ""));
    // Of several columns, the first is often a title.
    fields.at(-1).value = button.id === "all" ? examples().join("\n") : button.textContent;
    fields.at(-1).focus();
  });
}

progress.querySelector("button").addEventListener("click", () => (stopped = true));

function examples() {
  const buttons = [...document.querySelectorAll("#examples button:not(#all)")];
  return buttons.map((button) => button.textContent);
}

// Return the text, or the texts of several columns as an object.
function text() {
  if (fields.length === 1) return fields[0].value;
  return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
}

async function predictText() {
  status.textContent = "Predicting …";
  const { predictions, ...model } = await post("predict", { texts: [text()] }, wait);
  show(prediction(predictions[0], model));
  status.textContent = summary(predictions[0], model);
}

async function explainText() {
  status.textContent = "Explaining …";
  const answer = await post("explain", { text: text() }, wait);
  show([...prediction(answer.prediction, answer), ...explanation(answer)]);
  status.textContent = `${summary(answer.prediction, answer)} The effects of the words are below.`;
}

// Predict the lines in batches, one after another. If one fails, show the predictions before it.
async function predictLines() {
  const lines = nonBlankLines(fields[0].value);
  const rows = [];
  let model = {};
  stopped = false;
  show([]);
  try {
    while (rows.length < lines.length && !stopped) {
      showProgress(rows.length, lines.length);
      const batch = lines.slice(rows.length, rows.length + mostTexts);
      const texts = batch.map((line) => line.text);
      const { predictions, ...others } = await post("predict", { texts }, wait);
      model = others;
      rows.push(...batch.map((line, index) => ({ ...line, ...predictions[index] })));
    }
    status.textContent = `Predicted ${rows.length} of ${lines.length} lines.`;
  } catch (error) {
    throw new Error(`${error.message} Predicted ${rows.length} of ${lines.length} lines.`);
  } finally {
    if (rows.length) show(lineTable(rows, model));
  }
}

function nonBlankLines(value) {
  const all = value.split(/\r\n|\n|\r/).map((text, index) => ({ row: index + 1, text }));
  const lines = all.filter(({ text }) => text.trim());
  if (!lines.length) throw new Error("There is no text: write or paste one text per line.");
  const long = lines.find(({ text }) => [...text].length > mostCharacters);
  if (long) throw new Error(`Line ${long.row} has more than ${mostCharacters} characters: shorten it.`);
  return lines;
}

function showProgress(done, all) {
  status.textContent = `Predicting ${all} lines: ${done} done.`;
  progress.hidden = false;
  Object.assign(progress.querySelector("progress"), { value: done, max: all });
}

function wait(seconds) {
  status.textContent = `The server is busy. Trying again in ${seconds} s.`;
}

function summary(one, { labels }) {
  return `Predicted label: ${predictedLabel(one.label, labels)}. Interval: ${interval(one)}.`;
}

function show(elements) {
  result.replaceChildren(...elements);
}
