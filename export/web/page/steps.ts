import { byId } from "./dom.js";

/** Buttons at the bottom of a narrow screen, which shows one step at a time; a wide one shows all. */
export class Steps {
  readonly #app = byId("app");
  readonly #buttons = [...byId("steps").querySelectorAll("button")];

  constructor() {
    for (const button of this.#buttons) {
      button.addEventListener("click", () => {
        this.#go(button.dataset.go!);
      });
    }
  }

  #go(step: string): void {
    this.#app.dataset.step = step;
    for (const button of this.#buttons) {
      if (button.dataset.go === step) {
        button.setAttribute("aria-current", "step");
      } else {
        button.removeAttribute("aria-current");
      }
    }
    scrollTo({ top: 0 });
  }
}
