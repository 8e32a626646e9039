for (const table of document.querySelectorAll("table.sorted")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, i) => {
    if (!head.textContent || head.firstElementChild) return; // the rank, and the bars
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort === "ascending", sign = down ? -1 : 1;
      const key = (row) => row.cells[i].dataset.v ?? row.cells[i].textContent;
      const order = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
      const less = (a, b) => (a === "") - (b === "") || sign * order(a, b);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = down ? "descending" : "ascending";
      body.append(...[...body.rows].sort((a, b) => less(key(a), key(b))));
    });
  });
}
