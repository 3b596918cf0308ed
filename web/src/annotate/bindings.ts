/** The keys of the annotator's page. */

import { type Binding, stepBindings, toolBindings, viewBindings } from "../instruments/keys";
import { t } from "../texts";
import type { Workspace } from "./workspace";

export function workspaceBindings(
  classes: string[],
  workspace: Workspace,
  open: (dialog: "help" | "skip") => void,
): Binding[] {
  const { controls } = workspace;
  const { toolHints, help, acceptAll, copy } = t.instruments;
  const { skip, back, keys } = t.annotate;
  return [
    ...toolBindings(
      classes,
      (change) => controls.changeTool(change),
      (direction) => controls.adjust(direction),
    ),
    { keys: ["a"], text: toolHints.accept, run: () => controls.changeTool({ kind: "accept" }) },
    { keys: ["shift+a"], text: acceptAll, run: () => controls.acceptAll() },
    { keys: ["c"], text: copy, run: () => void controls.copyFromNeighbour() },
    ...stepBindings(controls),
    { keys: ["n"], text: keys.blank, once: true, run: () => void workspace.submit(true) },
    { keys: ["s"], text: skip, run: () => open("skip") },
    { keys: ["enter"], text: keys.finish, once: true, run: () => void workspace.finish() },
    { keys: ["backspace"], text: back, once: true, run: () => void workspace.goBack() },
    ...viewBindings(controls),
    { keys: ["h"], text: keys.toggleMask, run: () => controls.toggleMask() },
    { keys: ["o"], text: keys.toggleSuggestion, run: () => controls.toggleSuggestion() },
    { keys: ["u"], text: keys.toggleUncertainty, run: () => controls.toggleUncertainty() },
    { keys: ["?"], text: help, run: () => open("help") },
  ];
}
