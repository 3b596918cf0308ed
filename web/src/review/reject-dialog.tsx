/** What must be changed of a mask that is sent back. */

import { useState } from "preact/hooks";
import { t } from "../texts";
import { Dialog } from "../ui";

const text = t.review;

export function RejectDialog(props: { onReject: (comment: string) => void; onClose: () => void }) {
  const [comment, setComment] = useState("");
  return (
    <Dialog title={text.reject} onClose={props.onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (comment.trim()) props.onReject(comment.trim());
        }}
      >
        <label>
          {text.comment}
          <textarea
            rows={3}
            maxLength={10_000}
            required
            value={comment}
            onInput={(event) => setComment(event.currentTarget.value)}
          />
        </label>
        <p class="small">{text.commentNeeded}</p>
        <button type="submit" class="main" disabled={!comment.trim()}>
          {text.rejectSubmit}
        </button>
      </form>
    </Dialog>
  );
}
