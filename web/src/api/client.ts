/** Talking to the server: typed by its OpenAPI document, with the session's CSRF token. */

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Session = Schemas["SessionOut"];
export type Project = Schemas["ProjectOut"];
export type TrailEntry = Schemas["EventOut"];
export type Item = Schemas["ItemOut"];
export type Batch = Schemas["BatchOut"];
export type MaskInfo = Schemas["MaskOut"];
export type Progress = Schemas["ProgressOut"];
export type Job = Schemas["JobOut"];
export type Model = Schemas["ModelOut"];
export type TrainingMask = Schemas["TrainingMaskOut"];
export type Round = Schemas["RoundOut"];
export type RoundItem = Schemas["RoundItemOut"];
export type SliceInfo = Schemas["SliceOut"];
export type ToReview = Schemas["ToReviewOut"];
export type AnnotatorDay = Schemas["AnnotatorDay"];
export type PoolMap = Schemas["MapOut"];
export type Token = Schemas["TokenOut"];
export type Transfer = Schemas["TransferOut"];
export type CaseTaken = Schemas["CaseTakenOut"];
export type Deletion = Schemas["DeletionOut"];
export type Catalogue =
  paths["/catalogue"]["get"]["responses"]["200"]["content"]["application/json"];

/** The server refused: `message` is its own words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The server could not be reached, or was busy: the same request may go through later. */
export class Unreachable extends Error {}

let csrf = "";
let signedOut: () => void = () => {};

/** Send this token along with whatever changes something. */
export function useCsrf(token: string): void {
  csrf = token;
}

/** The headers of a request that is sent past `api`, as when the page is closed. */
export function csrfHeaders(): Record<string, string> {
  return { "X-CSRF-Token": csrf };
}

/** Call this when the server no longer knows the session. */
export function onSignedOut(handler: () => void): void {
  signedOut = handler;
}

async function send(request: Request): Promise<Response> {
  if (request.method !== "GET") request.headers.set("X-CSRF-Token", csrf);
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    throw new Unreachable(String(error));
  }
  if (response.status === 503) throw new Unreachable(await detail(response));
  if (response.status === 401 && !new URL(request.url).pathname.startsWith("/session")) signedOut();
  return response;
}

async function detail(response: Response): Promise<string> {
  try {
    return (await response.clone().json()).detail ?? response.statusText;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

/** The data of a reply. Throws `Refused` or `Unreachable`. */
export async function data<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data: found, response } = await call;
  if (!response.ok) throw new Refused(response.status, await problem(response, call));
  return found as T;
}

async function problem(response: Response, call: Promise<{ error?: unknown }>): Promise<string> {
  const { error } = await call;
  if (error && typeof error === "object" && "detail" in error) return String(error.detail);
  return `${response.status} ${response.statusText}`;
}

/** The bytes at one of our addresses; null where there is nothing. */
export async function bytes(path: string): Promise<Uint8Array | null> {
  const response = await send(new Request(new URL(path, location.origin)));
  if (response.status === 404) return null;
  if (!response.ok) throw new Refused(response.status, await detail(response));
  return new Uint8Array(await response.arrayBuffer());
}

/** Post bytes; the JSON of the reply. */
export async function post<T>(path: string, body: BodyInit, type: string): Promise<T> {
  const headers = { "Content-Type": type };
  const request = new Request(new URL(path, location.origin), { method: "POST", headers, body });
  const response = await send(request);
  if (!response.ok) throw new Refused(response.status, await detail(response));
  return (await response.json()) as T;
}

/** Send a file, telling how many bytes of it are on their way; the JSON of the reply.
 *
 * `fetch` does not say how far an upload is, so this is the older interface.
 */
export function upload<T>(
  path: string,
  file: Blob,
  type: string,
  on: { sent: (bytes: number) => void; signal?: AbortSignal },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", new URL(path, location.origin));
    request.setRequestHeader("Content-Type", type);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.upload.onprogress = ({ loaded }) => on.sent(loaded);
    request.onload = () => {
      const { status, statusText, responseText } = request;
      if (status === 401) signedOut();
      const reply = parsed(responseText);
      if (status >= 200 && status < 300) return resolve(reply as T);
      const words = (reply as { detail?: unknown } | null)?.detail ?? `${status} ${statusText}`;
      reject(status === 503 ? new Unreachable(String(words)) : new Refused(status, String(words)));
    };
    request.onerror = () => reject(new Unreachable(`no reply to ${path}`));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    on.signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The JSON of a reply to a request that is not typed here, such as one without a body. */
export async function ask<T>(method: "POST" | "DELETE", path: string): Promise<T> {
  const response = await send(new Request(new URL(path, location.origin), { method }));
  if (!response.ok) throw new Refused(response.status, await detail(response));
  return (await response.json()) as T;
}

/** Which page of a list is asked for. */
interface PageQuery {
  limit: number;
  cursor?: number;
}

/** All pages of a list. */
export async function all<T>(
  load: (page: PageQuery) => Promise<{ items: T[]; next?: number | null }>,
): Promise<T[]> {
  const found: T[] = [];
  let page: PageQuery | null = { limit: 200 };
  while (page) {
    const { items, next }: { items: T[]; next?: number | null } = await load(page);
    found.push(...items);
    page = typeof next === "number" ? { limit: 200, cursor: next } : null;
  }
  return found;
}
