import { create } from "./dom.js";

/** A class of the page and the model's output for it. */
export interface NamedOutput {
  readonly name: string;
  readonly output: number;
}

/** A row of the table: a class, and how often the model predicted each of the columns for its photos. */
export interface ConfusionRow {
  readonly name: string;
  readonly counts: readonly number[];
}

/**
 * Reduces a confusion matrix of all outputs to the classes of the page.
 *
 * @param classes The classes of the page, in its order.
 * @param matrix `matrix[label][prediction]` over all outputs.
 * @returns Names of the columns, the last one "others" if an output without a class was predicted; rows of the classes
 *   that have photos.
 */
export function confusionRows(
  classes: readonly NamedOutput[],
  matrix: readonly (readonly number[])[],
): { readonly columns: readonly string[]; readonly rows: readonly ConfusionRow[] } {
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  const rows = classes
    .filter(({ output }) => sum(matrix[output] ?? []) > 0)
    .map(({ name, output }) => {
      const counts = classes.map((column) => matrix[output]?.[column.output] ?? 0);
      return { name, counts: [...counts, sum(matrix[output]!) - sum(counts)] };
    });
  const hasOthers = rows.some(({ counts }) => counts.at(-1)! > 0);
  const columns = [...classes.map(({ name }) => name), ...(hasOthers ? ["others"] : [])];
  return {
    columns,
    rows: rows.map(({ name, counts }) => ({ name, counts: counts.slice(0, columns.length) })),
  };
}

/** Fills a table with a confusion matrix. */
export function showConfusion(
  table: HTMLTableElement,
  { columns, rows }: ReturnType<typeof confusionRows>,
): void {
  const head = create(
    "tr",
    {},
    create("th", { scope: "col", textContent: "Photos of" }),
    ...columns.map((textContent) => create("th", { scope: "col", textContent })),
  );
  table.tHead!.replaceChildren(head);
  table.tBodies[0]!.replaceChildren(
    ...rows.map(({ name, counts }) =>
      create(
        "tr",
        {},
        create("th", { scope: "row", textContent: name }),
        ...counts.map((count, index) => {
          const className = count === 0 ? "" : columns[index] === name ? "right" : "wrong";
          return create("td", { className, textContent: String(count) });
        }),
      ),
    ),
  );
}
