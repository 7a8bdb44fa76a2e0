const NARROWEST = 240;
const HEIGHT = 220;
const LEFT = 48;
const BOTTOM = 24;
const TOP = 12;

/** Draws losses over the steps as an SVG with a text description. */
export class Curve {
  #losses: number[] = [];
  #held: (readonly [step: number, loss: number])[] = [];
  #total = 1;
  #waiting = false;

  constructor(private readonly parent: HTMLElement) {}

  /** Clears the curve. */
  begin(total: number): void {
    this.#losses = [];
    this.#held = [];
    this.#total = Math.max(2, total);
    this.#draw();
  }

  /** Adds a step's loss. */
  addLoss(loss: number): void {
    this.#losses.push(loss);
    this.#draw();
  }

  /** Adds the loss of the held-out photos after the steps so far. */
  addHeld(loss: number): void {
    this.#held.push([Math.max(0, this.#losses.length - 1), loss]);
    this.#draw();
  }

  #draw(): void {
    if (this.#waiting) {
      return;
    }
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.parent.replaceChildren(this.#picture());
    });
  }

  #picture(): SVGElement {
    const shown = [...this.#losses, ...this.#held.map(([, loss]) => loss)].filter(Number.isFinite);
    // A unit of the picture is a pixel, so that its text has the size of other text.
    const width = Math.max(NARROWEST, this.parent.clientWidth);
    const most = Math.max(0.1, ...shown);
    const x = (step: number) => LEFT + (step / (this.#total - 1)) * (width - LEFT - 8);
    const y = (loss: number) => TOP + (1 - Math.min(loss, most) / most) * (HEIGHT - TOP - BOTTOM);
    const points = (list: readonly (readonly [number, number])[]) =>
      list.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
    const picture = svg("svg", {
      viewBox: `0 0 ${width} ${HEIGHT}`,
      role: "img",
      "aria-label": this.#words(),
    });
    picture.append(
      svg("line", { x1: LEFT, y1: y(0), x2: width, y2: y(0), class: "curve-axis" }),
      svg("line", { x1: LEFT, y1: TOP, x2: LEFT, y2: y(0), class: "curve-axis" }),
      text(LEFT - 6, y(most) + 10, "end", most.toFixed(2)),
      text(LEFT - 6, y(0), "end", "0"),
      text(LEFT, HEIGHT - 6, "start", "step 1"),
      text(width - 8, HEIGHT - 6, "end", String(this.#total)),
      svg("polyline", {
        class: "curve-loss",
        points: points(
          this.#losses.map((loss, step) => [step, loss] as const).filter(([, loss]) => Number.isFinite(loss)),
        ),
      }),
      svg("polyline", { class: "curve-held", points: points(this.#held) }),
    );
    return picture;
  }

  #words(): string {
    const [first, last] = [this.#losses[0], this.#losses.at(-1)];
    return first === undefined || last === undefined
      ? "Curve of the loss, still empty"
      : `Loss from ${first.toFixed(2)} to ${last.toFixed(2)} in ${this.#losses.length} steps`;
  }
}

function svg(tag: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(value));
  }
  return element;
}

function text(x: number, y: number, anchor: string, content: string): SVGElement {
  const element = svg("text", { x, y, "text-anchor": anchor, class: "curve-text" });
  element.textContent = content;
  return element;
}
