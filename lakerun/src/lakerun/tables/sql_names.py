"""The tables that a parsed statement names: `stored_tables`."""

from __future__ import annotations

from sqlglot import exp


def stored_tables(tree: exp.Expr) -> list[exp.Table]:
    """Every reference to a table; a name that a WITH defines is not one."""
    return [node for node in tree.find_all(exp.Table) if not _is_defined(node)]


def _is_defined(node: exp.Table) -> bool:
    """Whether WITH of an enclosing query defines the name, in a WITH before the name's place."""
    if node.db or node.catalog:
        return False
    name, around = node.name.lower(), node.parent
    child: exp.Expr = node
    while around is not None:
        clause = around.args.get("with_")
        defined = clause.expressions if clause is not None and clause is not child else []
        if isinstance(around, exp.With):
            defined = around.expressions[: around.expressions.index(child)]
        if any(each.alias.lower() == name for each in defined):
            return True
        child, around = around, around.parent
    return False
