"use strict";
// The table of the front: sorting, filtering, copying.
(function () {
  const table = document.querySelector("#table table");
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const search = document.getElementById("filter");
  const count = document.getElementById("count");
  const shown = () => [...body.rows].filter((row) => !row.hidden);

  const value = (row, index) => {
    const cell = row.cells[index];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };

  function sortBy(head) {
    const index = head.cellIndex;
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    body.append(...rows.sort((a, b) => compare(value(a, index), value(b, index)) * (falling ? -1 : 1)));
  }

  // `accuracy>75` compares a column, anything else must occur in the row; all words must hold.
  function test(word) {
    const parts = /^([a-z]+)(<=|>=|<|>|=)(-?[\d.]+)$/.exec(word);
    const head = parts && heads.find((cell) => cell.dataset.short === parts[1]);
    if (!head) return (row) => row.textContent.toLowerCase().includes(word);
    const limit = Number(parts[3]), index = head.cellIndex, divisor = Number(head.dataset.divisor);
    const holds = {
      "<": (a) => a < limit, ">": (a) => a > limit, "<=": (a) => a <= limit, ">=": (a) => a >= limit,
      "=": (a) => Math.abs(a - limit) < 1e-9,
    }[parts[2]];
    return (row) => holds(Number(row.cells[index].dataset.value) / divisor);
  }

  function filter() {
    const tests = search.value.toLowerCase().split(/\s+/).filter(Boolean).map(test);
    for (const row of rows) row.hidden = !tests.every((holds) => holds(row));
    count.textContent = shown().length + " of " + rows.length + " rows";
  }

  const quoted = (text) => (/[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
  // A spreadsheet would run a text that begins like a formula.
  const harmless = (text) => (/^[=+\-@\t\r]/.test(text) ? "'" + text : text);
  const csvCell = (cell) => (cell.dataset.value === undefined ? quoted(harmless(cell.textContent)) : cell.dataset.value);

  function asCsv() {
    const lines = [heads.map((head) => head.dataset.key).join(",")];
    for (const row of shown()) lines.push([...row.cells].map(csvCell).join(","));
    return lines.join("\n") + "\n";
  }

  const signs = {
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "%": "\\%", "_": "\\_",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
    "\u2212": "$-$", "\u00b5": "\\textmu{}",
  };
  const tex = (text) => text.replace(/[\\{}$&#%_~^<>\u2212\u00b5]/g, (sign) => signs[sign]);

  function asLatex() {
    const align = heads.map((_, i) => (rows[0].cells[i].dataset.value === undefined ? "l" : "r")).join("");
    const line = (cells) => cells.map((cell) => tex(cell.textContent)).join(" & ") + " \\\\";
    return [
      "\\begin{tabular}{" + align + "}", "\\toprule", line(heads), "\\midrule",
      ...shown().map((row) => line([...row.cells])), "\\bottomrule", "\\end{tabular}", "",
    ].join("\n");
  }

  async function copyText(text, what) {
    const box = document.getElementById("copied");
    const said = document.getElementById("said");
    box.value = text;
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = what + " copied";
      count.textContent = what + " copied: " + shown().length + " rows";
    } catch (error) { // no permission: the reader copies it
      box.hidden = false;
      box.focus();
      box.select();
      said.textContent = "The " + what + " is selected; copy it with the keyboard";
    }
  }

  for (const head of heads) head.firstChild.addEventListener("click", () => sortBy(head));
  search.addEventListener("input", filter);
  document.getElementById("copy-csv").addEventListener("click", () => copyText(asCsv(), "CSV"));
  document.getElementById("copy-latex").addEventListener("click", () => copyText(asLatex(), "LaTeX"));
  filter();
})();
