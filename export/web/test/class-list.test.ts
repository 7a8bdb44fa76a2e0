import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { ClassList, NEW } from "../page/class-list.js";
import { Storage } from "../page/storage.js";

const LABELS = ["stripes", "disk", "cross"];
const PHOTO = () => new File([], "photo.jpg");

/** Classes on outputs; Node has no database, so that nothing is stored. */
function classesOn(spareClasses: number): ClassList {
  const classes = new ClassList(new Storage(), () => undefined);
  classes.useOutputs({ classNames: LABELS, spareClasses }, LABELS.length);
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

  test("who takes a name of the model's takes its output, and the other goes elsewhere", () => {
    classes.rename(classes.classes[1]!, "ball");
    assert.equal(classes.add("disk").output, 1);
    assert.deepEqual(outputs(classes), { stripes: 0, ball: 2, disk: 1 });
    assert.equal(classes.hasRoom, false);
    assert.throws(
      () => classes.add(),
      /expected at most 3 classes, which is what this model has, got one more/,
    );
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
    classes.useOutputs({ classNames: [...LABELS, "ball", "cup"], spareClasses: 0 }, LABELS.length);
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1, ball: 3, cup: 4 });
    classes.useOutputs({ classNames: LABELS, spareClasses: 2 }, LABELS.length);
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1, ball: NEW });
  });

  test("another model's classes need room", () => {
    for (const name of ["ball", "cup", "hat"]) {
      classes.addPhotos(classes.add(name), [PHOTO()]);
    }
    classes.requireRoom({ classNames: ["a", "b"], spareClasses: 1 });
    assert.throws(() => {
      classes.requireRoom({ classNames: ["a", "b"], spareClasses: 0 });
    }, /expected at most 2 classes, which is what this model has, got 3; remove classes/);
  });

  test("folders are new classes, on cards that nobody has named yet, but not on what was added", () => {
    classes.useOutputs({ classNames: [...LABELS, "ball"], spareClasses: 1 }, LABELS.length);
    const folders = new Map([
      ["cup", [PHOTO()]],
      ["ball", [PHOTO(), PHOTO()]],
      ["hat", [PHOTO()]],
    ]);
    assert.equal(classes.addFolders(folders), 4);
    assert.deepEqual(outputs(classes), { cup: NEW, hat: 1, ball: 3 });
  });

  test("a name that no state file can hold is refused", () => {
    assert.throws(
      () => classes.add("two\nlines"),
      /without control characters and line separators, got U\+000A/,
    );
    assert.deepEqual(outputs(classes), { stripes: 0, disk: 1 });
  });
});
