"""The words that the tasks of the tiny world are about."""

CITIES = """
    Paris London Tokyo Berlin Madrid Rome Oslo Lima Cairo Delhi Seoul Dublin Vienna Athens Lisbon Prague
""".split()
COUNTRIES = """
    France England Japan Germany Spain Italy Norway Peru Egypt India Korea Ireland Austria Greece Portugal Czechia
""".split()
PEOPLE = """
    Ann Bob Carl Dora Emma Finn Gus Hana Ivan Jane Kurt Lily Max Nina Otto Pia Rosa Sam Tess Uwe Vera Will Yara Zoe
""".split()
THINGS = """
    cat dog sun tree bird moon fish lamp desk rain snow wind fire gold rock sand leaf ring song door milk corn rice
    bear wolf lion frog duck goat ship boat road star cloud stone river house bread apple lemon grape peach
""".split()
OPPOSITES = dict(
    pair.split(":")
    for pair in """
    hot:cold big:small fast:slow day:night up:down old:new rich:poor dark:light wet:dry full:empty hard:soft
    loud:quiet open:closed early:late high:low long:short
    """.split()
)
FUNCTION_NAMES = """
    f g h k p q u v w fn op calc run go solve work func helper step apply main test core base unit task job make get
    do act use scan set put add sub fix map fold
""".split()
EXPRESSIONS = {  # what the function does -> (arguments, expression)
    "adds two numbers": ("a, b", "a + b"),
    "subtracts b from a": ("a, b", "a - b"),
    "multiplies two numbers": ("a, b", "a * b"),
    "returns the square of x": ("x", "x * x"),
    "doubles x": ("x", "2 * x"),
    "returns the larger of two numbers": ("a, b", "max(a, b)"),
    "returns the smaller of two numbers": ("a, b", "min(a, b)"),
    "checks if n is even": ("n", "n % 2 == 0"),
    "checks if n is odd": ("n", "n % 2 == 1"),
    "reverses a string s": ("s", "s[::-1]"),
    "returns the length of s": ("s", "len(s)"),
    "sums a list xs": ("xs", "sum(xs)"),
    "returns the first item of xs": ("xs", "xs[0]"),
    "returns the last item of xs": ("xs", "xs[-1]"),
    "negates x": ("x", "-x"),
}
