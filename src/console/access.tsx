/** What the token may do. What it may not is shown all the same, switched off, with the reason. */
import { type ComponentChildren, createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Access } from './api.ts';

export const AccessContext = createContext<Access | null>(null);

/** Null: it may act. Otherwise why not. */
export function useWhyNot(): string | null {
  const access = useContext(AccessContext);
  if (access === null || access.role === 'operate') return null;
  return `The token "${access.name}" may look, and change nothing.`;
}

export interface ActProps {
  readonly onClick: () => void;
  readonly children: ComponentChildren;
  readonly class?: string;
  readonly disabled?: boolean;
  readonly label?: string;
}

/** A button that changes something. */
export function Act({ onClick, children, disabled = false, label, ...rest }: ActProps) {
  const whyNot = useWhyNot();
  return (
    <button
      type="button"
      {...rest}
      {...(label !== undefined && { 'aria-label': label })}
      {...(whyNot !== null && { title: whyNot })}
      disabled={disabled || whyNot !== null}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
