/** Who belongs to the project, and as what. */

import { useState } from "preact/hooks";
import { all, api, data } from "../api/client";
import type { Role } from "../api/roles";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";

const text = t.dashboard;

export function MembersPanel(props: { project: string }) {
  const { project } = props;
  const members = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/projects/{name}/members", {
            params: { path: { name: project }, query: { ...page } },
          }),
        ),
      ),
    project,
  );
  const [account, setAccount] = useState("");
  const [role, setRole] = useState<Role>("annotator");
  const [error, setError] = useState<string | null>(null);
  const attempt = async (action: () => Promise<unknown>) => {
    try {
      await action();
      setError(null);
      await members.reload();
    } catch (failure) {
      setError(words(failure));
    }
  };
  const put = (who: string, as: Role) =>
    attempt(() =>
      data(
        api.PUT("/projects/{name}/members/{account}", {
          params: { path: { name: project, account: who } },
          body: { role: as },
        }),
      ),
    );
  const remove = (who: string) =>
    attempt(() =>
      data(
        api.DELETE("/projects/{name}/members/{account}", {
          params: { path: { name: project, account: who } },
        }),
      ),
    );
  return (
    <Panel title={text.members}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void put(account.trim(), role).then(() => setAccount(""));
        }}
      >
        <div class="fields">
          <label>
            <span class="small">{text.memberAccount}</span>
            <input
              required
              value={account}
              onInput={(event) => setAccount(event.currentTarget.value)}
            />
          </label>
          <label>
            <span class="small">{text.memberRole}</span>
            <select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
              <RoleOptions />
            </select>
          </label>
        </div>
        <button type="submit">{text.memberAdd}</button>
      </form>
      {(error || members.error) && <Failure error={(error ?? members.error)!} />}
      <table>
        <tbody>
          {(members.value ?? []).map((member) => (
            <tr key={member.account}>
              <th scope="row">{member.account}</th>
              <td>
                <select
                  value={member.role}
                  aria-label={text.roleOf(member.account)}
                  onChange={(event) => void put(member.account, event.currentTarget.value as Role)}
                >
                  <RoleOptions />
                </select>
              </td>
              <td>
                <button type="button" onClick={() => void remove(member.account)}>
                  {text.memberRemove}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

/** The roles of a project, to choose from. */
export function RoleOptions() {
  return (
    <>
      {Object.entries(text.roles).map(([one, label]) => (
        <option key={one} value={one}>
          {label}
        </option>
      ))}
    </>
  );
}
