// Send the text to the server, and show its label, interval and probabilities. Everything is
// inserted as text, never as HTML.

const result = document.querySelector("#result");

document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (result.ariaBusy === "true") return;
  result.ariaBusy = "true";
  try {
    result.replaceChildren(...elements(await predict(text())));
  } catch (error) {
    result.replaceChildren(element("p", { className: "error" }, error.message));
  } finally {
    result.ariaBusy = "false";
  }
});

// Return the text, or the texts of several columns as an object.
function text() {
  const fields = [...document.querySelectorAll("textarea")];
  if (fields.length === 1) return fields[0].value;
  return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
}

async function predict(text) {
  const response = await fetch("predict", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ texts: [text] }),
  }).catch(() => {
    throw new Error("The server does not answer. Check that it is still running.");
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail ?? `The server failed: ${response.status}.`);
  return answer;
}

function elements({ labels, coverage, predictions: [{ label, low, high, probabilities }] }) {
  const interval = low === high ? low : `${low} to ${high}`;
  const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
  // Not in the order of the object's keys, because numeric keys come first there.
  const rows = labels.map((name) =>
    element(
      "tr",
      { className: name === label ? "predicted" : "" },
      element("th", { scope: "row" }, name),
      element("td", {}, element("meter", { value: probabilities[name], ariaHidden: "true" })),
      element("td", {}, percent.format(probabilities[name])),
    ),
  );
  return [
    element("h2", {}, ...heading(label, labels)),
    element("p", {}, `Interval: ${interval}, correct ${frequency(coverage)}`),
    element("table", {}, element("caption", {}, "Probability of each label"), ...rows),
  ];
}

function heading(label, labels) {
  if (labels.join() !== "1,2,3,4,5") return [label];
  const stars = "★".repeat(label) + "☆".repeat(5 - label);
  return [element("span", { ariaHidden: "true" }, stars), ` ${label} of 5 stars`];
}

function frequency(coverage) {
  const total = [10, 100, 1000].find((n) => Math.abs(coverage * n - Math.round(coverage * n)) < 1e-9);
  return total ? `${Math.round(coverage * total)} times in ${total}` : `${100 * coverage} % of the time`;
}

function element(name, properties, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}
