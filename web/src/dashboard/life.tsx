/** A project called something else, archived, and brought back. */

import { useState } from "preact/hooks";
import { api, data, type Project } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, words } from "../ui";

const text = t.life;

function useChange(project: Project, then: (changed: Project) => void) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const change = async (body: { name?: string; archived?: boolean }) => {
    setBusy(true);
    try {
      const params = { path: { name: project.name } };
      const kept = { query: {}, training: {}, ...body };
      then(await data(api.PATCH("/projects/{name}", { params, body: kept })));
      setError(null);
    } catch (failure) {
      setError(words(failure));
    } finally {
      setBusy(false);
    }
  };
  return { error, busy, change };
}

/** What stands above everything of a project that is archived. */
export function ArchivedPanel(props: {
  project: Project;
  admin: boolean;
  onChange: (changed: Project) => void;
}) {
  const { error, busy, change } = useChange(props.project, props.onChange);
  const since = props.project.archived_at ?? "";
  return (
    <Panel title={text.archived} wide>
      <p>{text.archivedSince(new Date(since).toLocaleDateString())}</p>
      {props.admin && (
        <button
          type="button"
          class="main"
          disabled={busy}
          onClick={() => void change({ archived: false })}
        >
          {text.bringBack}
        </button>
      )}
      {error && <Failure error={error} />}
    </Panel>
  );
}

export function LifePanel(props: { project: Project; onChange: (changed: Project) => void }) {
  const { error, busy, change } = useChange(props.project, props.onChange);
  const [name, setName] = useState(props.project.name);
  return (
    <Panel title={text.title}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void change({ name: name.trim() });
        }}
      >
        <p class="small">{text.renameHint}</p>
        <div class="fields">
          <label>
            <span class="small">{text.name}</span>
            <input
              name="project-name"
              required
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
        </div>
        <button type="submit" disabled={busy || name.trim() === props.project.name}>
          {text.rename}
        </button>
      </form>
      <p class="small">{text.archiveHint}</p>
      <button type="button" disabled={busy} onClick={() => void change({ archived: true })}>
        {text.archive}
      </button>
      {error && <Failure error={error} />}
    </Panel>
  );
}
