import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { strFromU8, strToU8, unzipSync, zipSync } from "fflate";
import { PagePhoto } from "../page/page-photo.js";
import { packProject, readProject } from "../page/project.js";
import type { Project } from "../page/project.js";

const photo = (name: string, content: string, digest?: string) =>
  new PagePhoto(new File([content], name), { digest });

/** Names that no file system takes as they are, or that differ in case only. */
const PROJECT: Project = {
  files: { name: "photos", model: new Blob(["model"]), manifest: '{"labels": []}' },
  state: new Uint8Array([1, 2, 3]),
  classes: [
    { name: "Cup", output: 1, photos: [photo("a.jpg", "one", "d1"), photo("a.jpg", "two")] },
    { name: "cup", output: 0, photos: [photo("../../x.png", "three", "d3")] },
    { name: "CUP", output: 2, photos: [photo("b.jpg", "four")] },
    { name: "a/b: c?", output: -1, photos: [] },
  ],
  trained: new Set(["d1", "gone"]),
};

async function file(
  change: (content: ReturnType<typeof unzipSync>) => void = () => undefined,
): Promise<File> {
  const content = unzipSync(new Uint8Array(await (await packProject(PROJECT)).arrayBuffer()));
  change(content);
  return new File([zipSync(content)], "mine.zip");
}

const inCard =
  (change: (card: Record<string, unknown>) => void) => (content: ReturnType<typeof unzipSync>) => {
    const card = JSON.parse(strFromU8(content["project.json"]!)) as Record<string, unknown>;
    change(card);
    content["project.json"] = strToU8(JSON.stringify(card));
  };

describe("a project", () => {
  test("comes back as it was saved", async () => {
    const read = await readProject(await file());
    assert.equal(read.files.name, "photos");
    assert.equal(await read.files.model.text(), "model");
    assert.equal(read.files.manifest, PROJECT.files.manifest);
    assert.deepEqual([...read.state], [1, 2, 3]);
    assert.deepEqual(read.trained, PROJECT.trained);
    const shown = async ({ classes }: Project) =>
      Promise.all(
        classes.map(async ({ name, output, photos }) => [
          name,
          output,
          await Promise.all(photos.map(async ({ file, digest }) => [await file.text(), digest])),
        ]),
      );
    assert.deepEqual(await shown(read), await shown(PROJECT));
  });

  test("has a folder of photos for each class, under names that every file system takes", async () => {
    const content = unzipSync(new Uint8Array(await (await file()).arrayBuffer()));
    const paths = Object.keys(content).filter((path) => path.startsWith("photos/"));
    assert.deepEqual(paths, [
      "photos/Cup/0001-a.jpg",
      "photos/Cup/0002-a.jpg",
      "photos/cup 2/0001-__.._x.png",
      "photos/CUP 3/0001-b.jpg",
    ]);
  });

  for (const [what, change, message] of [
    [
      "no card",
      (content) => delete content["project.json"],
      /^expected a project, .* got mine.zip without a valid/,
    ],
    ["a damaged card", (content) => (content["project.json"] = strToU8("{")), /without a valid project.json/],
    ["another format", inCard((card) => (card.format = "other")), /without a valid project.json/],
    ["a number for a class", inCard((card) => (card.classes = [1])), /without a valid project.json/],
    [
      "a photo without a path",
      inCard((card) => (card.classes = [{ name: "a", output: 0, photos: [{}] }])),
      /without a valid project.json/,
    ],
    ["null for a class", inCard((card) => (card.classes = [null])), /without a valid project.json/],
    ["no name of its model", inCard((card) => delete card.model), /without a valid project.json/],
    ["a number for a digest", inCard((card) => (card.trained = [1])), /without a valid project.json/],
    [
      "a later version",
      inCard((card) => (card.version = 2)),
      /version 1, got mine.zip of version 2; open it with/,
    ],
    [
      "no state",
      (content) => delete content["state.tinytl"],
      /mine.zip is damaged: expected state.tinytl in it/,
    ],
    ["no model", (content) => delete content["model/photos.tflite"], /expected model\/photos.tflite in it/],
    [
      "a photo less",
      (content) => delete content["photos/Cup/0001-a.jpg"],
      /expected photos\/Cup\/0001-a.jpg in it/,
    ],
  ] as const satisfies readonly (readonly [
    string,
    (content: ReturnType<typeof unzipSync>) => unknown,
    RegExp,
  ])[]) {
    test(`with ${what} is refused`, async () => {
      await assert.rejects(readProject(await file(change)), { name: "InputError", message });
    });
  }

  test("that is no ZIP file is refused", async () => {
    await assert.rejects(readProject(new File(["no zip"], "photo.zip")), {
      name: "InputError",
      message: /^expected a project, .* got photo.zip \(/,
    });
  });
});
