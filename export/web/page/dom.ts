/** Returns the element of index.html with an id. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) {
    throw new Error(`the page has no element #${id}`);
  }
  return element as unknown as T;
}

/** Makes an element with properties and children. */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Fills a list of terms. */
export function showFacts(list: HTMLElement, facts: readonly (readonly [string, string])[]): void {
  list.replaceChildren(
    ...facts.map(([term, value]) =>
      create("div", {}, create("dt", { textContent: term }), create("dd", { textContent: value })),
    ),
  );
}

/** Calls `act` with the files that are chosen, each time that some are. */
export function onFiles(input: HTMLInputElement, act: (files: File[]) => void): void {
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // so that the same file can be chosen again
    if (files.length > 0) {
      act(files);
    }
  });
}

/** How many colors classes have; style.css has them. */
const COLORS = 8;

/** The color of the class at a position of the list, for `data-color`. */
export function colorOf(position: number): string {
  return String(position % COLORS);
}

/** A name with a number in words, over a bar. */
export function barItem(name: string, words: string, ...bars: HTMLElement[]): HTMLLIElement {
  const head = create(
    "div",
    { className: "bar-head" },
    create("span", { textContent: name }),
    create("span", { textContent: words }),
  );
  return create("li", {}, head, ...bars);
}

/** A bar that is filled up to a part of 1. */
export function bar(part: number, className = "bar"): HTMLElement {
  const fill = create("span");
  fill.style.width = `${(100 * part).toFixed(1)}%`;
  const element = create("div", { className }, fill);
  element.setAttribute("aria-hidden", "true");
  return element;
}

/** "1 photo", "2 photos". */
export function photosInWords(count: number): string {
  return `${count} ${count === 1 ? "photo" : "photos"}`;
}

const MOST_NAMES = 8;

/** A list of names, of many only the first. */
export function namesInWords(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return `${names.slice(0, MOST_NAMES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Megabytes of 10^6 bytes. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A part of 1 as a percentage. */
export function percent(part: number): string {
  return `${(100 * part).toFixed(0)} %`;
}
