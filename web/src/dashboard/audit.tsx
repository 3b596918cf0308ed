/** The audit trail of the project: who did what when. */

import { useEffect, useState } from "preact/hooks";
import { api, data, type TrailEntry } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, words } from "../ui";
import { said } from "./trail";

const text = t.dashboard;
const LISTED = 20;

export function AuditPanel(props: { project: string }) {
  const { project } = props;
  const [entries, setEntries] = useState<TrailEntry[]>([]);
  const [next, setNext] = useState<number | null>(null);
  const [error, setError] = useState<string | null>(null);
  const load = async (cursor: number | null) => {
    try {
      const page = await data(
        api.GET("/projects/{name}/events", {
          params: { path: { name: project }, query: { newest: true, limit: LISTED, cursor } },
        }),
      );
      setEntries((before) => (cursor === null ? page.items : [...before, ...page.items]));
      setNext(page.next ?? null);
      setError(null);
    } catch (failure) {
      setError(words(failure));
    }
  };
  useEffect(() => void load(null), [project]);
  return (
    <Panel title={text.trail} wide>
      {error && <Failure error={error} retry={() => void load(null)} />}
      <table>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.id}>
              <td>
                <time dateTime={entry.at}>{new Date(entry.at).toLocaleString()}</time>
              </td>
              <th scope="row">{entry.by ?? text.trailNobody}</th>
              <td>{text.acts[entry.action] ?? entry.action}</td>
              <td class="small">{said(entry.detail)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {next !== null && (
        <button type="button" onClick={() => void load(next)}>
          {text.trailMore}
        </button>
      )}
    </Panel>
  );
}
