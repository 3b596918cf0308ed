/** What the annotator has to know now, over the lower edge of the board. */

import type { ComponentChildren } from "preact";
import { t } from "../texts";
import type { WorkspaceState } from "./state";
import type { Workspace } from "./workspace";

const text = t.annotate;

export function Notices(props: { state: WorkspaceState; workspace: Workspace }) {
  const { state, workspace } = props;
  const { outbox, restoredAt, leaseLost, refusals, batch } = state;
  const returned = state.current?.loaded.item.returned;
  const exploring = batch?.exploring !== state.exploringRead && batch?.exploring;
  const notice = noticeOf(state);
  return (
    <div class="notices" aria-live="polite" data-unsent={outbox.waiting}>
      {exploring && (
        <Closable onClose={() => workspace.closeExploring()}>
          {t.instruments.exploring(exploring)}
        </Closable>
      )}
      {returned && (
        <p class="warning">
          <strong>{text.returned}</strong> {returned.comment}
          <br />
          {text.returnedDrawing}
        </p>
      )}
      {restoredAt !== null && (
        <p>
          {text.restored(new Date(restoredAt).toLocaleTimeString())}{" "}
          <button type="button" onClick={() => workspace.controls.startAfresh()}>
            {text.discard}
          </button>
        </p>
      )}
      {leaseLost && <p class="warning">{text.leaseLost}</p>}
      {!outbox.reachable && <p class="warning">{text.offline}</p>}
      {outbox.waiting > 0 && !outbox.reachable && <p>{text.unsent(outbox.waiting)}</p>}
      {refusals.map((refusal) => (
        <Closable key={refusal} warning onClose={() => workspace.closeRefusals()}>
          {refusal}
        </Closable>
      ))}
      {notice && <p>{notice}</p>}
    </div>
  );
}

function noticeOf({ view, notice }: WorkspaceState): string | null {
  if (view.failure && "beyond" in view.failure) return t.instruments.noNeighbour;
  return view.offset !== 0 ? t.instruments.neighbour(view.offset) : notice;
}

function Closable(props: { warning?: boolean; onClose: () => void; children: ComponentChildren }) {
  return (
    <p {...(props.warning ? { class: "warning", role: "alert" as const } : {})}>
      {props.children}{" "}
      <button type="button" onClick={props.onClose}>
        {t.close}
      </button>
    </p>
  );
}
