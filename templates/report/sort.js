// A click on a column's head sorts the table by it; a second click turns the order around.
document.querySelectorAll("th").forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    const text = (row) => row.cells[column].textContent.trim();
    const number = (row) => parseFloat(text(row).replaceAll(",", ""));
    const numbers = [...body.rows].some((row) => text(row)) && [...body.rows].every((row) => !text(row) || !isNaN(number(row)));
    const order = (a, b) => {
      if (!text(a) || !text(b)) return !text(a) - !text(b);
      return (down ? -1 : 1) * (numbers ? number(a) - number(b) : text(a).localeCompare(text(b), "en", { numeric: true }));
    };
    body.append(...[...body.rows].sort(order));
    head.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  });
});
