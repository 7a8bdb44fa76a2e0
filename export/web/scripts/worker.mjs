/** How the worker is bundled: as a classic script, since LiteRT needs `importScripts`. */
export const WORKER = {
  entryPoints: ["src/worker-main.ts"],
  bundle: true,
  format: "iife",
  target: ["es2022"],
  minify: true,
  legalComments: "none",
  logLevel: "warning",
};
