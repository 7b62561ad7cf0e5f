import sys

from netqueue import Pool


def square(number):
    return number * number


if __name__ == "__main__":
    # With a name, workers on other hosts work along: python3 -m netqueue.worker -s tcp://... NAME
    with Pool(4, name=sys.argv[1] if sys.argv[1:] else None) as pool:
        print("Pool:", pool.map(square, range(100)))
