/** Sign-in by a provider: what the page makes of being sent back. */

import { beforeAll, describe, expect, it, vi } from "vitest";
import { t } from "../src/texts";

type Provider = typeof import("../src/provider");
let provider: Provider;

beforeAll(async () => {
  vi.stubGlobal("location", { origin: "https://sfumato.example.org", pathname: "/" });
  provider = await import("../src/provider");
});

describe("the reason for which somebody is sent back", () => {
  it("is said in words of the page", () => {
    for (const [reason, words] of Object.entries(t.signIn.refused)) {
      expect(provider.refusalIn(`#sign-in=${reason}`)).toBe(words);
    }
  });

  it("is never what an address says itself", () => {
    for (const made of ["#sign-in=call", "#sign-in=constructor"]) {
      expect(provider.refusalIn(made)).toBe(t.signIn.refused.untrusted);
    }
    for (const other of ["", "#", "#sign-in=", "#sign-in=Call me", "#x#sign-in=away"]) {
      expect(provider.refusalIn(other)).toBeNull();
    }
  });
});

describe("the page to come back to", () => {
  it("is the one that was left, or the first", () => {
    expect(provider.pageOf("/review")).toBe("/review");
    expect(provider.pageOf("/elsewhere")).toBe("/");
    expect(provider.pageOf("//evil.example")).toBe("/");
  });
});
