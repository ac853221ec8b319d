"""Repairs: edits as data, computed against the analysed sources, applied by one engine and proven by analysing again.

Reading order: ``edits`` (what a repair is), ``document`` (a file to be edited), ``program`` (all that a fixer may
ask); ``rewrite``, ``imports``, ``signatures``, ``leaving``, ``entry_commits`` and ``sessions`` (pieces of edits);
``references`` (who speaks of a function) and ``hand_down`` with ``sources``, ``providers``, ``owned_blocks`` and
``around`` (sessions handed down to callees); ``streams/`` (the session of a request in its stream); ``expiry`` (do
objects outlive a commit); ``repairs/`` (the fixers, one per file); ``proposals`` (asking them all), ``compose`` (edits
of many groups to new bytes), ``engine`` (which groups hold), ``disk`` and ``verify`` (writing).

How to write a fixer
--------------------

Add one file ``repairs/<what_it_does>.py``. Its module docstring starts with one sentence that ends up in
``docs/fixes.md``; ``CODES`` are the rules whose findings it repairs, ``ORDER`` (optional, 50) decides who goes first
where two repairs touch the same lines. It has one function::

    def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:

``findings`` are those of its codes, in order. For each, either

- yield a ``Group``: all edits that belong together (signature, call sites, tests), the findings that must be gone
  afterwards, and the safety (``SAFE`` only where the program does the same on every path that worked before);
- yield a ``Refusal`` that says why no correct edit exists, with the place or chain that shows it;
- or yield nothing: this fixer has nothing to say about that finding.

``program.document(file)`` gives text and tree, ``program.analysis`` all answers of the effects layer,
``program.function(finding)`` the function a finding stands in. Edits are made with ``rewrite`` (insert, delete, indent,
unwrap: they keep comments and line ends) and ``imports.needed``. ``document.Uneditable`` may be raised through: the
engine makes a refusal of it.

What a fixer need not do: check that the result parses, that the finding is gone, that nothing new is found anywhere
in the project, that other groups do not touch the same lines, or that the file may be written. The engine does. Where
something new is found, it asks the fixers about that in turn (a commit taken out of a repository asks for one at the
boundary): if the whole holds it is one repair, else all of it is undone and the chain that breaks is said.

A fixer must be deterministic, must not change what it is given, and must propose nothing on the program it has
repaired.
"""
