/** Which folder may import which, and how long a file may grow. */

import { describe, expect, it } from "vitest";

const sources: Record<string, string> = import.meta.glob("../src/**/*.{ts,tsx}", {
  query: "?raw",
  import: "default",
  eager: true,
});
const SHARED = ["texts", "ui"];
const ALLOWED: Record<string, string[]> = {
  draw: [],
  api: [],
  instruments: ["api", "draw", ...SHARED],
  annotate: ["api", "draw", "instruments", ...SHARED],
  review: ["api", "draw", "instruments", ...SHARED],
  dashboard: ["api", "draw", "instruments", ...SHARED],
};
const LONGEST = 300;
/** One long list, in which everything is found by name. */
const MAY_BE_LONG = ["../src/texts.ts", "../src/api/schema.d.ts"];

/** The folders, and files beside them, that a file imports from outside its own folder. */
function imported(source: string): string[] {
  const paths = [...source.matchAll(/(?:from|import)\s*\(?"\.\.\/([^"/]+)/g)];
  return paths.map(([, path]) => path);
}

describe("the source", () => {
  for (const [folder, allowed] of Object.entries(ALLOWED)) {
    it(`lets ${folder}/ import ${allowed.join(", ") || "nothing of the other folders"}`, () => {
      const files = Object.entries(sources).filter(([path]) =>
        path.startsWith(`../src/${folder}/`),
      );
      const wrong = files.flatMap(([path, source]) =>
        imported(source)
          .filter((name) => !allowed.includes(name))
          .map((name) => `${path} imports ${name}`),
      );
      expect(files).not.toEqual([]);
      expect(wrong).toEqual([]);
    });
  }

  it(`keeps files within ${LONGEST} lines`, () => {
    const long = Object.entries(sources)
      .filter(([path]) => !MAY_BE_LONG.includes(path))
      .map(([path, source]) => [path, source.trimEnd().split("\n").length] as const)
      .filter(([, lines]) => lines > LONGEST);
    expect(long).toEqual([]);
  });
});
