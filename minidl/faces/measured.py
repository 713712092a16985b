"""How near other people come to each other, measured once for the encoder that minidl fetches.

face128, on photographs from the press: 1,000 people (drawn with seed 0 from 4,668) with one picture
each, their first, the face cut out closely, grey, 112 × 112 pixels; all pairs; once with the faces
aligned, once as they are.
Relatives and children come nearer than these people.  So do others on looser pictures that are not
aligned: of colour portraits with the shoulders, 21 % of all pairs lie within 0.45, where it is 1 of
10,000 here.  `Impostors.hold_for` notices, and this measures on your own pictures, by which a
gallery then goes:

    python -m demos.faces calibrate --gallery FILE --data FOLDER --json FILE.json
"""
from minidl.faces.calibration import RATES, Impostors

MEASURED = {            # an encoder's fingerprint: its Impostors.  First aligned, then as they are
    "e6db08fb3898acc59940a806515b792a4e9ed30a66ae32087f6481ed5791b34f": Impostors(
        rates=RATES[1:],
        distances=(0.4394, 0.4676, 0.4922, 0.5220, 0.5491, 0.5825, 0.6185, 0.6686,
                   0.7066, 0.7345, 0.7821, 0.8305, 0.8979),
        people=1000, pairs=499500),
    "b575a52136fc62dd0e6685481f7c06832ce057693a1c3f8dc01ccc1409b8f2e0": Impostors(
        rates=RATES[1:],
        distances=(0.4278, 0.4552, 0.4788, 0.5065, 0.5358, 0.5701, 0.6060, 0.6560,
                   0.6942, 0.7225, 0.7706, 0.8193, 0.8872),
        people=1000, pairs=499500),
}


def measured(made_with):
    """The Impostors of exactly the encoder with this fingerprint, or None where they are not
    known."""
    return MEASURED.get(made_with)
