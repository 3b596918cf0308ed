/** Roles in a project, each including the ones before it. */

const ORDER = ["viewer", "annotator", "reviewer", "admin"] as const;
export type Role = (typeof ORDER)[number];

/** Whether a role may do what `least` may; no role may nothing. */
export function includes(role: Role | null | undefined, least: Role): boolean {
  return role != null && ORDER.indexOf(role) >= ORDER.indexOf(least);
}
