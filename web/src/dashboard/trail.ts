/** The audit trail in words. */

/** What an entry says, in a line; long lists and settings are counted. */
export function said(detail: Record<string, unknown>): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => {
      if (Array.isArray(value)) return `${name} ${value.length > 5 ? `× ${value.length}` : value}`;
      return typeof value === "object" ? name : `${name} ${value}`;
    })
    .join(", ");
}
