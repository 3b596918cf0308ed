/** Projects as they are offered: those that are archived are only looked at. */

import type { Project } from "./api/client";
import { t } from "./texts";

/** What a page offers to choose from: annotators and reviewers nothing that is archived. */
export function offered(projects: Project[], archivedToo: boolean): Project[] {
  const goingOn = projects.filter((one) => !one.archived_at);
  return archivedToo ? [...goingOn, ...projects.filter((one) => one.archived_at)] : goingOn;
}

/** A project as it stands in a list. */
export function shownName(project: Project): string {
  return project.archived_at ? t.life.archivedName(project.name) : project.name;
}
