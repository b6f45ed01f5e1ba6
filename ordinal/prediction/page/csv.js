// CSV files with the columns of `ordinal predict FILE`.

// The rule of `escape_formula` in ordinal/common/labels.py.
const FORMULA_START = /^[=+\-@\t\r]/;
const PLAIN_NUMBER = /^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

export function predictionsCsv(rows, labels) {
  const header = ["row", "label", "low", "high", ...labels.map((label) => `p_${label}`), "text"];
  const cells = rows.map(({ row, label, low, high, probabilities, text }) => {
    const shares = labels.map((name) => Math.round(1e6 * probabilities[name]) / 1e6);
    return [row, label, low, high, ...shares, text];
  });
  return [header, ...cells].map((line) => `${line.map(csvCell).join(",")}\n`).join("");
}

function csvCell(value) {
  if (typeof value === "number") return String(value);
  const formula = FORMULA_START.test(value) && !PLAIN_NUMBER.test(value);
  const cell = (formula ? `'${value}` : value).replaceAll("\r", "\n");
  return /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
