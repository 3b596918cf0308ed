/** What people may do, and what is said of what they did. */

import { describe, expect, it } from "vitest";
import { includes } from "../src/api/roles";
import { said } from "../src/dashboard/trail";

describe("roles", () => {
  it("include those before them, and no role includes none", () => {
    expect(includes("admin", "viewer")).toBe(true);
    expect(includes("viewer", "annotator")).toBe(false);
    expect(includes("reviewer", "reviewer")).toBe(true);
    expect(includes(null, "viewer")).toBe(false);
  });
});

describe("an entry of the audit trail", () => {
  it("is said in a line, long lists counted, nothing said of what is empty", () => {
    expect(said({ slice: 7, reason: "", by: null })).toBe("slice 7");
    expect(said({ slices: [1, 2] })).toBe("slices 1,2");
    expect(said({ slices: [1, 2, 3, 4, 5, 6] })).toBe("slices × 6");
    expect(said({ query: { size: 3 } })).toBe("query");
  });
});
