/** Why a slice is skipped. */

import { useState } from "preact/hooks";
import { t } from "../texts";
import { Dialog } from "../ui";

const text = t.annotate;

export function SkipDialog(props: { onSkip: (reason: string) => void; onClose: () => void }) {
  const [other, setOther] = useState("");
  return (
    <Dialog title={text.skipTitle} onClose={props.onClose}>
      <p>{text.skipHint}</p>
      <div class="reasons">
        {text.skipReasons.map((why) => (
          <button key={why} type="button" onClick={() => props.onSkip(why)}>
            {why}
          </button>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (other.trim()) props.onSkip(other.trim());
        }}
      >
        <label>
          {text.skipOther}
          <input
            maxLength={1000}
            value={other}
            onInput={(event) => setOther(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="main" disabled={!other.trim()}>
          {text.skipSubmit}
        </button>
      </form>
    </Dialog>
  );
}
