/** What is wrong with the retraining, for everybody; admins can try again at once. */

import { useState } from "preact/hooks";
import { api, data, type Progress } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, words } from "../ui";

const text = t.dashboard.trouble;

export function TroublePanel(props: {
  progress: Progress;
  project: string;
  admin: boolean;
  onChange: () => Promise<void>;
}) {
  const { failure, not_learned: notLearned } = props.progress;
  const [error, setError] = useState<string | null>(null);
  if (!failure && notLearned.length === 0) return null;
  const retry = async () => {
    try {
      await data(api.POST("/jobs", { body: { project: props.project, kind: "retrain" } }));
      setError(null);
      await props.onChange();
    } catch (refused) {
      setError(words(refused));
    }
  };
  const waits = failure !== null && (failure.ended || failure.retry_at !== null);
  return (
    <Panel title={text.title}>
      {failure && (
        <p role="status">
          {text.failed(failure.job, failure.step, failure.failures, failure.reason)}{" "}
          {failure.ended
            ? text.ended
            : failure.retry_at === null
              ? text.trying
              : text.again(new Date(failure.retry_at).toLocaleString())}
        </p>
      )}
      {waits && props.admin && (
        <button type="button" onClick={() => void retry()}>
          {text.now}
        </button>
      )}
      {error && <Failure error={error} />}
      {notLearned.length > 0 && (
        <>
          <p>{text.notLearned(notLearned.length)}</p>
          <ul>
            {notLearned.map(({ case: name, index, why }) => (
              <li key={`${name}/${index}`}>{text.slice(name, index, why)}</li>
            ))}
          </ul>
        </>
      )}
    </Panel>
  );
}
