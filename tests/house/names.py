"""What a name in a Python file stands for, followed back through imports and plain assignments."""

import ast


def origins(tree: ast.Module) -> dict[str, str]:
    """Map each name that an import or `name = other.name` binds, at any depth, to the dotted name it stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                found[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            meant = dotted(node.value, found)
            if meant and meant != node.targets[0].id:
                found.setdefault(node.targets[0].id, meant)
    return found


def dotted(node: ast.AST, known: dict[str, str]) -> str:
    """Spell out a name or an attribute of one, aliases followed; empty for anything else."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, known)
        return f"{owner}.{node.attr}" if owner else ""
    return ""
