/** Sign-in by a provider: it leads away from the page, and back to it with a session or a reason. */

import { api, data } from "./api/client";
import { t } from "./texts";

const REASON = /^#sign-in=([a-z]+)$/;
const PAGES = ["/", "/review", "/dashboard"] as const;

/** What the address says of a sign-in that came to nothing, in words of ours alone. */
export function refusalIn(hash: string): string | null {
  const found = REASON.exec(hash);
  if (!found) return null;
  const words = t.signIn.refused;
  return Object.hasOwn(words, found[1]) ? words[found[1]] : words.untrusted;
}

/** The page to come back to. */
export function pageOf(path: string): (typeof PAGES)[number] {
  return PAGES.find((one) => one === path) ?? "/";
}

/** What the button says, where there is a provider; without an answer there is no button. */
export async function providerName(): Promise<string | null> {
  try {
    return (await data(api.GET("/session/ways"))).provider;
  } catch {
    return null;
  }
}

/** Where the browser has to go. Throws `Refused` or `Unreachable`. */
export async function providerAddress(): Promise<string> {
  const body = { page: pageOf(location.pathname) };
  return (await data(api.POST("/session/provider", { body }))).address;
}
