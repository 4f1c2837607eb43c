"""How little is enough? A search that asks for cells and is told their scores, and the test that makes it an answer.

space, axes    what there is to choose from, each setting with its bytes before anything runs
surface        a model of the response: an ensemble of saturating surfaces
ladder         the settings worth confirming, by the power of their test
confirmation   the test, on seeds that the search never saw
search         the rounds: what to run next, from what was found so far
answer         what it found, in a sentence and as JSON; rules: what was fixed before the first cell
"""
