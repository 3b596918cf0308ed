/** Which projects a page offers. */

import { describe, expect, it } from "vitest";
import type { Project } from "../src/api/client";
import { offered, shownName } from "../src/offered";

function project(name: string, archived_at: string | null): Project {
  return { name, archived_at } as Project;
}

const old = project("old", "2026-11-01T00:00:00Z");
const going = project("going", null);

describe("projects", () => {
  it("that are archived are offered to nobody who draws or reviews", () => {
    expect(offered([old, going], false)).toEqual([going]);
    expect(offered([old], false)).toEqual([]);
  });

  it("that are archived come last on the dashboard, and are called so", () => {
    expect(offered([old, going], true)).toEqual([going, old]);
    expect([going, old].map(shownName)).toEqual(["going", "old (archived)"]);
  });
});
