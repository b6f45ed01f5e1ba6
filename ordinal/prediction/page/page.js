// A text in; its label, interval and probabilities out. All that is shown is put in as text.

const result = document.querySelector("#result");

document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (result.ariaBusy === "true") return;
  result.ariaBusy = "true";
  try {
    result.replaceChildren(...shown(await predict(document.querySelector("#text").value)));
  } catch (error) {
    result.replaceChildren(element("p", { className: "error" }, error.message));
  } finally {
    result.ariaBusy = "false";
  }
});

async function predict(text) {
  const response = await fetch("predict", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ texts: [text] }),
  }).catch(() => {
    throw new Error("The server does not answer: is it still running?");
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail ?? `The server failed: ${response.status}.`);
  return answer;
}

function shown({ labels, coverage, predictions: [{ label, low, high, probabilities }] }) {
  const interval = low === high ? low : `${low} to ${high}`;
  const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
  // In the order of the labels: an object puts names that are numbers into an order of its own.
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
    element("h2", {}, ...named(label, labels)),
    element("p", {}, `${interval}, right ${inWords(coverage)}`),
    element("table", {}, element("caption", {}, "Probability of each label"), ...rows),
  ];
}

function named(label, labels) {
  if (labels.join() !== "1,2,3,4,5") return [label];
  const stars = "★".repeat(label) + "☆".repeat(5 - label);
  return [element("span", { ariaHidden: "true" }, stars), ` ${label} of 5 stars`];
}

function inWords(coverage) {
  const among = [10, 100, 1000].find((n) => Math.abs(coverage * n - Math.round(coverage * n)) < 1e-9);
  return among ? `${Math.round(coverage * among)} times in ${among}` : `${100 * coverage} % of the time`;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
