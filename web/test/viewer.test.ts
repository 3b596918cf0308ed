/** How a slice is looked at: channels, their windows, and neighbours. */

import { describe, expect, it } from "vitest";
import type { SliceInfo } from "../src/api/client";
import type { Channel } from "../src/api/slices";
import type { GrayPicture } from "../src/draw/pixels";
import type { Loader } from "../src/instruments/loader";
import { type SliceView, type ViewedSlice, Viewer } from "../src/instruments/viewer";

const NAMES = ["t1", "flair"];
const channelsAt = (index: number): Channel[] =>
  NAMES.map((name, place) => ({
    name,
    image: `/${index}/${name}`,
    slope: 1,
    intercept: 1000 * place,
    unit: null,
  }));

function pictureOf({ slope, intercept }: Channel): GrayPicture {
  const values = Uint16Array.of(0, 10, 20, 30);
  return { width: 2, height: 2, values, low: 0, high: 30, slope, intercept };
}

function slice(name: string, index: number, unit: string | null = null): ViewedSlice {
  const channels = channelsAt(index).map((channel) => ({ ...channel, unit }));
  const neighbour = { image: "", channels: channelsAt(index + 1) } as unknown as SliceInfo;
  return {
    case: name,
    index,
    channels,
    pictures: new Map(channels.map((channel) => [channel.name, pictureOf(channel)])),
    aspect: 1,
    orientation: null,
    neighbours: new Map([[index + 1, neighbour]]),
  };
}

function viewer(kept?: Map<string, string>) {
  const asked: string[] = [];
  const loader = {
    channel: null,
    picture: async (channel: Channel) => {
      asked.push(channel.image);
      return pictureOf(channel);
    },
    fetch: () => {},
    fetchNeighbours: () => {},
  } as unknown as Loader;
  const seen: { view: SliceView | null } = { view: null };
  const made = new Viewer(
    loader,
    (view) => {
      seen.view = view;
    },
    kept,
  );
  return { made, asked, seen };
}

describe("the chosen channel", () => {
  it("goes round, and stays for the slices that follow", () => {
    const { made, seen } = viewer();
    expect(made.open(slice("a", 1)).channel?.name).toBe("t1");
    made.nextChannel();
    expect(seen.view?.channel?.name).toBe("flair");
    expect(made.open(slice("b", 7)).channel?.image).toBe("/7/flair");
    made.nextChannel();
    expect(seen.view?.channel?.name).toBe("t1");
  });

  it("is followed by neighbours, also when it changes while one is looked at", async () => {
    const { made, asked, seen } = viewer();
    made.open(slice("a", 1));
    await made.look(1);
    made.nextChannel();
    await Promise.resolve();
    expect(asked).toEqual(["/2/t1", "/2/flair"]);
    expect([seen.view?.offset, seen.view?.channel?.image]).toEqual([1, "/2/flair"]);
    await made.look(0);
    expect([seen.view?.offset, seen.view?.channel?.image]).toEqual([0, "/1/flair"]);
  });
});

describe("the window", () => {
  it("is each channel's own", () => {
    const { made, seen } = viewer();
    made.open(slice("a", 1));
    made.setWindow({ level: 5, width: 6 });
    made.nextChannel();
    expect(seen.view?.preset).toBe("tissue");
    made.usePreset("full");
    expect(seen.view?.window).toEqual({ level: 1015, width: 30 });
    made.nextChannel();
    expect(seen.view?.window).toEqual({ level: 5, width: 6 });
    expect(seen.view?.preset).toBe("");
  });

  it("set by hand holds for its case, a preset for all", () => {
    const { made } = viewer();
    made.open(slice("a", 1));
    made.usePreset("soft");
    made.setWindow({ level: 5, width: 6 });
    expect(made.open(slice("a", 2)).window).toEqual({ level: 5, width: 6 });
    expect(made.open(slice("b", 1)).preset).toBe("soft");
  });
});

describe("a window of CT", () => {
  it("is shown at CT, and kept for its channel", () => {
    const kept = new Map<string, string>();
    const { made, seen } = viewer(kept);
    made.open(slice("a", 1, "HU"));
    made.usePreset("lung");
    expect(seen.view?.window).toEqual({ level: -600, width: 1500 });
    expect([...kept]).toEqual([["t1", "lung"]]);
    expect(viewer(kept).made.open(slice("b", 1, "HU")).preset).toBe("lung");
  });

  it("is not offered elsewhere, and comes back where it is", () => {
    const { made, seen } = viewer(new Map([["t1", "lung"]]));
    expect(made.open(slice("a", 1)).preset).toBe("tissue");
    made.usePreset("brain");
    expect(seen.view).toBe(null);
    expect(made.open(slice("b", 1, "HU")).preset).toBe("lung");
  });

  it("that nobody knows any more is the first", () => {
    expect(viewer(new Map([["t1", "gone"]])).made.open(slice("a", 1)).preset).toBe("tissue");
  });
});

it("says so where no neighbour is", async () => {
  const { made, seen } = viewer();
  made.open(slice("a", 1));
  await made.look(-1);
  expect(seen.view?.failure).toEqual({ beyond: true });
});
