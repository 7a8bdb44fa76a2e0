import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { ClassList, NEW } from "../page/class-list.js";
import type { PhotoClass } from "../page/class-list.js";
import { PagePhoto } from "../page/page-photo.js";
import { Storage } from "../page/storage.js";

const MODEL = "sha-256 of the model";
const LABELS = ["stripes", "disk", "cross"];
const PHOTO = (name = "photo.jpg") => new PagePhoto(new File([], name));

/** Classes on outputs; Node has no database, so that nothing is stored. */
function classesOn(spareClasses: number): ClassList {
  const classes = new ClassList(new Storage(), () => undefined);
  classes.useOutputs({ classNames: LABELS, spareClasses }, LABELS.length, MODEL);
  return classes;
}

function outputs(classes: ClassList): Record<string, number> {
  return Object.fromEntries(classes.classes.map(({ name, output }) => [name, output]));
}

describe("classes on a model without spare outputs", () => {
  let classes: ClassList;
  beforeEach(() => {
    classes = classesOn(0);
  });

  test("begin with the model's own, and a new name borrows an output", () => {
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1 });
    classes.rename(classes.classes[1]!, " ball ");
    assert.deepEqual(outputs(classes), { stripes: 0, ball: 1 });
    assert.equal(classes.note(classes.classes[0]!), "");
    assert.equal(classes.note(classes.classes[1]!), "The state file calls it “disk”.");
    assert.deepEqual(classes.namesInFile, LABELS);
  });

  test("keep the outputs that they have borrowed when the model is opened again", () => {
    classes.rename(classes.classes[1]!, "ball");
    classes.remove(classes.classes[0]!); // the first output is free now, and a training put "ball" on the second
    classes.useOutputs({ classNames: LABELS, spareClasses: 0 }, LABELS.length, MODEL);
    assert.equal(outputs(classes).ball, 1);
    assert.equal(new Set(Object.values(outputs(classes))).size, classes.classes.length);
    const former = classes.outputs;
    classes.useOutputs({ classNames: LABELS, spareClasses: 0 }, LABELS.length, MODEL, new Map()); // as Reset does
    classes.useOutputs({ classNames: LABELS, spareClasses: 0 }, LABELS.length, MODEL, former); // as Undo does
    assert.equal(outputs(classes).ball, 1);
    classes.useOutputs({ classNames: ["a", "ball"], spareClasses: 0 }, 2, "another model");
    assert.equal(outputs(classes).ball, 1);
    classes.rename(
      classes.classes.find(({ name }) => name === "ball")!,
      "cup",
    );
    classes.useOutputs({ classNames: ["a", "b", "c"], spareClasses: 0 }, 3, "a third model");
    assert.deepEqual(Object.values(outputs(classes)).sort(), [0, 1]);
  });

  test("prefer a spare output to a borrowed one after Reset", () => {
    classes.rename(classes.classes[1]!, "ball");
    classes.useOutputs({ classNames: LABELS, spareClasses: 1 }, LABELS.length, MODEL, new Map());
    assert.equal(outputs(classes).ball, NEW);
  });

  test("who takes a name of the model's takes its output, and the other goes elsewhere", () => {
    classes.rename(classes.classes[1]!, "ball");
    assert.equal(classes.add("disk").output, 1);
    assert.deepEqual(outputs(classes), { stripes: 0, ball: 2, disk: 1 });
    assert.equal(classes.hasRoom, false);
    assert.throws(() => classes.add(), /expected at most 3 classes, the number of this model, got one more/);
    assert.throws(() => classes.add("cup"), /got one more \(cup\)/);
  });
});

describe("classes on a model with spare outputs", () => {
  let classes: ClassList;
  beforeEach(() => {
    classes = classesOn(2);
  });

  test("a name that the model does not know is new, while outputs are spare", () => {
    classes.rename(classes.classes[0]!, "ball");
    classes.add("cup");
    assert.deepEqual(outputs(classes), { ball: NEW, disk: 1, cup: NEW });
    assert.equal(classes.note(classes.classes[0]!), "New to the model: training adds it.");
    classes.add("hat");
    assert.equal(outputs(classes).hat, 0);
    assert.equal(classes.hasRoom, true);
    assert.equal(classes.add().name, "cross");
    assert.equal(classes.hasRoom, false);
  });

  test("after the model's own names come new ones", () => {
    assert.deepEqual(
      [classes.add().name, classes.add().name, classes.add().name],
      ["cross", "class 4", "class 5"],
    );
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1, cross: 2, "class 4": NEW, "class 5": NEW });
    classes.remove(classes.classes[3]!);
    assert.equal(classes.add().name, "class 6");
  });

  test("a class whose photos are there gets the output that was added for it", () => {
    const ball = classes.add("ball");
    classes.add("cup");
    assert.deepEqual(classes.newClasses, []);
    classes.addPhotos(ball, [PHOTO()]);
    assert.deepEqual(classes.newClasses, [ball]);
    classes.putOn(ball, 3);
    assert.deepEqual(classes.newClasses, []);
    assert.deepEqual(classes.namesInFile, [...LABELS, "ball"]);
    assert.equal(classes.note(ball), "Added to the model; its name is in the state file.");
    classes.rename(ball, "red ball");
    assert.deepEqual(classes.addedNames, [[3, "red ball"]]);
    assert.deepEqual(classes.namesInFile, [...LABELS, "red ball"]);
  });

  test("classes of a state come with it, and go with it if they have no photos", () => {
    const ball = classes.add("ball");
    classes.addPhotos(ball, [PHOTO()]);
    classes.useOutputs({ classNames: [...LABELS, "ball", "cup"], spareClasses: 0 }, LABELS.length, MODEL);
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1, ball: 3, cup: 4 });
    classes.useOutputs({ classNames: LABELS, spareClasses: 2 }, LABELS.length, MODEL);
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1, ball: NEW });
  });

  test("another model's classes need room", () => {
    for (const name of ["ball", "cup", "hat"]) {
      classes.addPhotos(classes.add(name), [PHOTO()]);
    }
    classes.requireRoom({ classNames: ["a", "b"], spareClasses: 1 });
    assert.throws(() => {
      classes.requireRoom({ classNames: ["a", "b"], spareClasses: 0 });
    }, /expected at most 2 classes, the number of this model, got 3; remove classes/);
  });

  test("folders are new classes, on cards that nobody has named yet, but not on what was added", () => {
    classes.useOutputs({ classNames: [...LABELS, "ball"], spareClasses: 1 }, LABELS.length, MODEL);
    const entries = classes.classesOf(["cup", "ball", "hat", "cup"]);
    assert.deepEqual(
      entries.map(({ name }) => name),
      ["cup", "ball", "hat", "cup"],
    );
    assert.deepEqual(outputs(classes), { cup: NEW, hat: 1, ball: 3 });
  });

  test("a folder that is called as a card keeps the card from the folders after it", () => {
    const entries = classesOn(2).classesOf(["stripes", "ball", "cup"]);
    assert.deepEqual(
      entries.map(({ name }) => name),
      ["stripes", "ball", "cup"],
    );
    assert.equal(new Set(entries).size, 3);
    assert.equal(entries[0]!.output, 0);
  });

  test("folders that do not fit, or whose name cannot be one, leave all as it was", () => {
    classes.addPhotos(classes.classes[0]!, [PHOTO()]);
    const before = outputs(classes);
    for (const [folders, message] of [
      [["cup", "hat", "cap", "bag", "box"], /expected at most 5 classes, .* got one more \(box\)/],
      [["cup", "two\u2028lines"], /got U\+2028/],
      [["cup", "\u3000"], /visible character/],
    ] as const) {
      assert.throws(() => classes.classesOf(folders), { name: "InputError", message });
      assert.deepEqual(outputs(classes), before);
      assert.equal(classes.classes[0]!.photos.length, 1);
    }
  });

  test("a decomposed name of a folder is the model's", () => {
    classes.useOutputs({ classNames: ["\u00e9clair", "disk"], spareClasses: 1 }, 2, MODEL);
    assert.equal(classes.classesOf(["e\u0301clair"])[0]!.output, 0);
    assert.equal(classes.classesOf(["e\u0300clair"])[0]!.name, "\u00e8clair");
    assert.throws(
      () => {
        classes.useOutputs({ classNames: ["\u00e9", "e\u0301"], spareClasses: 0 }, 2, MODEL);
      },
      { name: "InputError", message: /expected different names of classes/ },
    );
  });

  for (const name of ["two\nlines", "\u200b", "\ud800", "x".repeat(256)]) {
    test(`${JSON.stringify(name).slice(0, 20)} is not a name, with spare outputs or without`, () => {
      for (const spare of [0, 2]) {
        const list = classesOn(spare);
        assert.throws(() => list.rename(list.classes[0]!, name), { name: "InputError" });
        assert.throws(() => list.add(name), { name: "InputError" });
        assert.deepEqual(outputs(list), { stripes: 0, disk: 1 });
      }
    });
  }

  test("an emoji of several parts and U+3000 inside are names", () => {
    classes.rename(classes.classes[0]!, "👩\u200d🔬 赤\u3000バラ");
    assert.equal(classes.classes[0]!.name, "👩\u200d🔬 赤\u3000バラ");
  });

  test("a class that was removed while its photos were read gets none", () => {
    const ball = classes.add("ball");
    classes.remove(ball);
    assert.throws(() => classes.addPhotos(ball, [PHOTO()]), /the class ball, which was removed/);
  });
});

describe("what was removed", () => {
  let classes: ClassList;
  beforeEach(() => {
    classes = classesOn(1);
    classes.addPhotos(classes.classes[0]!, [PHOTO("a"), PHOTO("b"), PHOTO("c")]);
  });

  const names = (entry: PhotoClass) => entry.photos.map(({ name }) => name);

  test("a class comes back with its photos, where it was", () => {
    const [stripes] = classes.classes;
    classes.add("ball");
    classes.remove(stripes!);
    assert.deepEqual(outputs(classes), { disk: 1, ball: NEW });
    assert.match(classes.removed!.what, /^the class stripes \(3 photos\)$/);
    classes.removed!.undo();
    assert.equal(classes.classes[0], stripes);
    assert.deepEqual(names(stripes!), ["a", "b", "c"]);
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1, ball: NEW });
    assert.equal(classes.removed, undefined);
  });

  test("a class whose output another one has got takes it back, or another", () => {
    const [stripes, disk] = classes.classes;
    classes.remove(stripes!);
    classes.rename(disk!, "ball");
    classes.add("stripes");
    assert.throws(() => classes.removed!.undo(), /a name of its own for each class, got "stripes" twice/);
    classes.rename(classes.classes[1]!, "cup");
    classes.removed!.undo();
    assert.equal(stripes!.output, 0);
    assert.equal(new Set(Object.values(outputs(classes))).size, 3);
  });

  test("without room for it all stays as it is", () => {
    const [stripes] = classes.classes;
    classes.remove(stripes!);
    for (const name of ["cup", "hat", "cap"]) {
      classes.add(name);
    }
    const before = outputs(classes);
    assert.throws(() => classes.removed!.undo(), /expected at most 4 classes/);
    assert.deepEqual(outputs(classes), before);
    classes.remove(classes.classes[1]!);
    assert.match(classes.removed!.what, /^the class cup \(0 photos\)$/);
  });

  test("a photo comes back to its place, with its class if need be", () => {
    const [stripes] = classes.classes;
    classes.removePhoto(stripes!, stripes!.photos[1]!);
    assert.deepEqual(names(stripes!), ["a", "c"]);
    classes.removed!.undo();
    assert.deepEqual(names(stripes!), ["a", "b", "c"]);
  });

  test("all photos do not come back", () => {
    classes.clear();
    assert.equal(classes.removed, undefined);
    assert.equal(classes.count, 0);
  });
});

describe("photos that cannot be read", () => {
  test("count for nothing and are named", () => {
    const classes = classesOn(0);
    for (const entry of classes.classes) {
      classes.addPhotos(entry, [PHOTO("a.jpg"), PHOTO("b.jpg")]);
    }
    assert.equal(classes.missing(), "");
    const [stripes] = classes.classes;
    stripes!.photos[0]!.problem = "it is cut short";
    assert.match(classes.missing(), /add at least one more to stripes/);
    assert.deepEqual(classes.unreadable, ["a.jpg (stripes)"]);
    assert.equal(classes.labeledPhotos([8, 8]).length, 3);
    assert.equal(classes.count, 4);
  });
});
