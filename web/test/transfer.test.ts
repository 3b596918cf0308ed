/** What is said of imports and exports, and how they are asked for. */

import { describe, expect, it } from "vitest";
import type { CaseTaken, Transfer } from "../src/api/client";
import {
  caseWords,
  exportPath,
  hasArchive,
  type ImportForm,
  importPath,
  isActive,
  progressWords,
  reportOf,
  resultWords,
  shareDone,
  sizeWords,
} from "../src/dashboard/transfer";

const FORM: ImportForm = {
  project: "a b/c",
  layout: "auto",
  channels: "",
  masks: "",
  plane: "",
  trustVoxels: false,
};

function transfer(change: Partial<Transfer>): Transfer {
  return {
    id: 1,
    kind: "import",
    project: "p",
    layout: "auto",
    options: {},
    state: "running",
    progress: {},
    report: null,
    error: null,
    cancel_requested: false,
    archive: false,
    created_by: null,
    created_at: "2026-01-01T00:00:00Z",
    finished_at: null,
    ...change,
  };
}

describe("an import is asked for", () => {
  it("with what differs from the server's own choice, and nothing else", () => {
    expect(importPath(FORM, "x.zip", false)).toBe(
      "/projects/a%20b%2Fc/imports?layout=auto&background=true&filename=x.zip",
    );
  });

  it("with every choice", () => {
    const form = { ...FORM, layout: "nifti", channels: " t1, flair,", masks: "pool" };
    const path = importPath({ ...form, plane: "coronal", trustVoxels: true }, "x.zip", true);
    const query = new URLSearchParams(path.split("?")[1]);
    expect(query.getAll("channel")).toEqual(["t1", "flair"]);
    expect(Object.fromEntries(query)).toMatchObject({
      layout: "nifti",
      masks: "pool",
      plane: "coronal",
      trust_voxels: "true",
      check: "true",
    });
  });
});

describe("an export is asked for", () => {
  const form = { format: "dicom-seg", masks: "", reader: "", round: "", licence: "" };

  it("of the labels, unless something else is wanted", () => {
    expect(exportPath("p", form)).toBe("/projects/p/exports?format=dicom-seg");
    const wanted = {
      ...form,
      masks: "accepted",
      reader: " eva ",
      round: "3",
      licence: "CC BY 4.0",
    };
    expect(exportPath("p", wanted)).toBe(
      "/projects/p/exports?format=dicom-seg&only=accepted&reader=eva&round=3&licence=CC+BY+4.0",
    );
    expect(exportPath("p", { ...form, masks: "all" })).toContain("all_readings=true");
  });
});

describe("a transfer is told of", () => {
  it("while it waits and runs", () => {
    const running = transfer({ progress: { cases: 3, total: 12, slices: 240, case: "p004" } });
    expect(isActive(running)).toBe(true);
    expect(shareDone(running)).toBe(0.25);
    expect(progressWords(running)).toBe("3 of 12 cases · 240 slices · p004");
    expect(shareDone(transfer({}))).toBe(null);
    expect(progressWords(transfer({}))).toBe("Looking at the files");
    expect(progressWords(transfer({ state: "queued" }))).toBe("Waiting for its turn");
  });

  it("when it has ended", () => {
    const report = { cases: 1, new_slices: 3, known_slices: 0, masks: 2 };
    expect(resultWords(transfer({ report }))).toBe("1 case: 3 new slices, 0 already known.");
    expect(resultWords(transfer({ report, kind: "check" }))).toBe("1 case would come in.");
    expect(resultWords(transfer({ report, kind: "export" }))).toBe("1 case with 2 masks.");
    expect(isActive(transfer({ state: "cancelled" }))).toBe(false);
  });
});

describe("an export", () => {
  const at = (hours: number) => new Date(hours * 3_600_000).toISOString();
  const done = transfer({
    kind: "export",
    state: "succeeded",
    archive: true,
    finished_at: at(0),
  });

  it("can be fetched for a day, from the server that wrote it", () => {
    expect(hasArchive(done, 23 * 3_600_000)).toBe(true);
    expect(hasArchive(done, 24 * 3_600_000)).toBe(false);
    expect(hasArchive({ ...done, archive: false }, 0)).toBe(false);
  });

  it("leaves out cases", () => {
    const report = { cases: 3, masks: 12, left_out: { p4: "two sizes" } };
    expect(reportOf({ ...done, report })).toMatchObject({
      refused: { p4: "two sizes" },
      left_out: {},
    });
    expect(reportOf(transfer({ report }))?.left_out).toEqual({ p4: "two sizes" });
  });
});

describe("a case is told of", () => {
  const taken: CaseTaken = {
    name: "p1",
    split: "pool",
    slices: 30,
    height: 512,
    width: 256,
    spacing: { row: 0.48828125, column: 0.5, slice: 3 },
    plane: "axial",
    channels: ["image"],
    classes: ["liver"],
    windows: ["brain", "bone"],
    missing: 2,
    low: -1024,
    high: 3071,
    unit: "HU",
  };

  it("in a row, as people say it", () => {
    expect(caseWords(taken)).toEqual([
      "p1",
      "Pool",
      "30",
      "256 × 512",
      "0.5 × 0.48828 × 3",
      "Axial",
      "image",
      "liver",
      "Brain, Bone",
      "2",
      "−1024 … 3071 HU",
    ]);
  });

  it("also where the files say little", () => {
    const bare = { ...taken, spacing: null, plane: null, unit: null, missing: 0, low: 0.1 + 0.2 };
    const words = caseWords(bare);
    expect([words[4], words[5], words[9], words[10]]).toEqual([
      "not stated",
      "not stated",
      "",
      "0.3 … 3071",
    ]);
  });
});

it("says bytes as people do", () => {
  expect([0, 999, 1000, 2_500_000, 4_300_000_000].map(sizeWords)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "2.5 MB",
    "4.3 GB",
  ]);
});
